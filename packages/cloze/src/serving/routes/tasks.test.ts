// Re-ranking and tasks against the library called directly, on tiny models, through Fastify without a network.
import { afterAll, describe, expect, test } from "vitest";
import { type TinyKind, tinyMaxLength } from "../../../test/tiny-models.js";
import { cosine, serveTinyModels, texts } from "../../../test/tiny-server.js";
import { loadModel } from "../../families/index.js";
import { fillMask, loadTaskModel, predictRows, taskOf } from "../../index.js";
import { loadTokenizer } from "../../text/index.js";

const { folders, post, direct, close } = await serveTinyModels();
afterAll(close);

describe("rerankers and classifiers", () => {
  const query = "where is the cat";
  const logits = async (): Promise<number[]> => {
    const loaded = loadTaskModel(folders.reranker, { task: taskOf("ranking"), maxLength: tinyMaxLength });
    const scores = new Float64Array(texts.length);
    for await (const { prediction } of predictRows(loaded, [{ query, candidates: texts, row: 1 }])) {
      const { ranked } = prediction as { ranked: { candidate: number; score: number }[] };
      for (const { candidate, score } of ranked) scores[candidate] = score;
    }
    loaded.model.dispose();
    return Array.from(scores);
  };
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

  test("/rerank: text-embeddings-inference's form, best first", async () => {
    const expected = await logits();
    const { body } = await post("/rerank", { query, texts, raw_scores: true, return_text: true });
    expect(body.map(({ score }: { score: number }) => score)).toEqual(
      [...body].map(({ score }) => score).sort((a, b) => b - a),
    );
    for (const { index, score, text } of body) {
      expect(score).toBeCloseTo(expected[index], 4);
      expect(text).toBe(texts[index]);
    }
    const soft = (await post("/rerank", { query, texts })).body;
    for (const { index, score } of soft) expect(score).toBeCloseTo(sigmoid(expected[index]), 4);
  });
  test.each(["/v1/rerank", "/v2/rerank", "/rerank"])("%s: Cohere's form", async (path) => {
    const expected = await logits();
    const documents = [texts[0], { text: texts[1] }, texts[2]];
    const { status, body } = await post(path, {
      model: "reranker",
      query,
      documents,
      top_n: 2,
      return_documents: true,
    });
    expect(status).toBe(200);
    expect(body.results).toHaveLength(2);
    for (const { index, relevance_score, document } of body.results) {
      expect(relevance_score).toBeCloseTo(sigmoid(expected[index]), 4);
      expect(document.text).toBe(texts[index]);
    }
    expect(body.results[0].relevance_score).toBeCloseTo(sigmoid(Math.max(...expected)), 4);
    expect(body).toMatchObject({ model: "reranker", usage: { total_tokens: expect.any(Number) } });
  });
  test("an embedder ranks by its cosines in Cohere's form, and not in text-embeddings-inference's", async () => {
    const { body } = await post("/v1/rerank", { model: "embedder", query, documents: texts });
    const [asked, ...vectors] = direct([query, ...texts]);
    for (const { index, relevance_score } of body.results) {
      expect(relevance_score).toBeCloseTo(Math.max(0, cosine(asked, vectors[index])), 4);
    }
    const refused = await post("/rerank", { model: "embedder", query, texts });
    expect(refused).toMatchObject({
      status: 424,
      body: { error_type: "Backend", error: "embedder is not a re-ranker model" },
    });
  });
  test("/predict: one text, a pair, a batch of both; probabilities add up", async () => {
    const one = await post("/predict", { inputs: texts[0], model: "classifier" });
    expect(one.body.map(({ label }: { label: string }) => label).sort()).toEqual(["bad", "good"]);
    expect(one.body[0].score + one.body[1].score).toBeCloseTo(1, 6);
    expect(one.body[0].score).toBeGreaterThanOrEqual(one.body[1].score);
    const batch = await post("/predict", { inputs: [[texts[0]], [texts[1], texts[2]]], model: "classifier" });
    expect(batch.body[0]).toEqual(one.body);
    const pair = await post("/predict", { inputs: [texts[1], texts[2]], model: "classifier" });
    expect(pair.body).toEqual(batch.body[1]);
    const raw = await post("/predict", { inputs: texts[0], model: "classifier", raw_scores: true });
    const gap = raw.body[0].score - raw.body[1].score;
    expect(sigmoid(gap)).toBeCloseTo(one.body[0].score, 5);
    expect((await post("/predict", { inputs: texts[0], model: "reranker" })).body).toHaveLength(1);
  });
});

describe("tasks", () => {
  const rowsOf = async (kind: TinyKind, task: string, rows: readonly object[]) => {
    const options = kind === "tagger" ? {} : { task: taskOf(task), maxLength: tinyMaxLength };
    const loaded = loadTaskModel(folders[kind], options);
    const predictions: unknown[] = [];
    for await (const { prediction } of predictRows(loaded, rows)) predictions.push(prediction);
    loaded.model.dispose();
    return predictions as Record<string, unknown>[];
  };
  test("/classify gives what cloze predict gives", async () => {
    const expected = await rowsOf(
      "classifier",
      "classification",
      texts.map((text, i) => ({ text, row: i + 1 })),
    );
    const { body } = await post("/classify", { inputs: texts });
    expected.forEach(({ label, score }, i) => {
      expect(body[i].label).toBe(label);
      expect(body[i].score).toBeCloseTo(score as number, 5);
    });
    expect((await post("/v1/classify", { inputs: { text: texts[0] } })).body.label).toBe(expected[0].label);
  });
  test("/ner gives spans of the text, in long texts too", async () => {
    const text = `Ada Lovelace, größe! ${"the small cat ".repeat(20)}London`;
    const { status, body } = await post("/ner", { inputs: text });
    expect(status).toBe(200);
    expect(body.text).toBe(text);
    expect(body.tags).toHaveLength(66);
    for (const { start, end, text: span } of body.entities) expect(text.slice(start, end)).toBe(span);
    expect((await post("/token_classify", { inputs: [text] })).body[0]).toEqual(body);
  });
  test("/qa gives what cloze predict gives", async () => {
    const row = { question: "where is the cat", context: "the small cat sat on the mat ".repeat(6) };
    const [expected] = await rowsOf("reader", "question-answering", [{ ...row, id: "0", answers: [], row: 1 }]);
    const { body } = await post("/qa", row);
    expect(body.answer).toBe(expected.answer);
    expect(body.candidates).toHaveLength(5);
    expect(row.context.slice(body.candidates[0].start, body.candidates[0].end)).toBe(body.candidates[0].text);
    expect((await post("/qa", { inputs: [row, row] })).body[1].answer).toBe(expected.answer);
  });
  test("/fill-mask gives what cloze fill-mask gives", async () => {
    const asked = ["the [MASK] cat sat on the [MASK]", "a [MASK] dog"];
    const model = loadModel(folders.language);
    const expected = fillMask(model, loadTokenizer(folders.language), asked, 3);
    model.dispose();
    const { status, body } = await post("/fill-mask", { inputs: asked, top: 3 });
    expect(status).toBe(200);
    expected.forEach(({ text, masks }, i) => {
      expect(body[i].text).toBe(text);
      masks.forEach((predictions, m) => {
        predictions.forEach(({ id, probability }, place) => {
          expect(body[i].masks[m][place].id).toBe(id);
          expect(body[i].masks[m][place].probability).toBeCloseTo(probability, 5);
        });
      });
    });
    const refused = await post("/fill-mask", { inputs: "no mask" });
    expect(refused).toMatchObject({ status: 422, body: { error_type: "Validation" } });
  });
});
