// Every endpoint against the library called directly, on tiny models, through Fastify without a network.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope } from "@cloze/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TinyKind, tinyMaxLength, writeTinyModels } from "../../../test/tiny-models.js";
import { loadEmbedder } from "../../embedding/sentence-transformers.js";
import { loadModel } from "../../families/index.js";
import { fillMask, loadTaskModel, predictRows, taskOf } from "../../index.js";
import { openIndex } from "../../retrieval/store/search-index.js";
import { loadTokenizer } from "../../text/index.js";
import { createServer } from "../server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-serving-"));
let folders: Record<TinyKind, string>;
let server: Awaited<ReturnType<typeof createServer>>;

beforeAll(async () => {
  folders = writeTinyModels(folder);
  const index = openIndex(join(folder, "index"), { write: true, create: {} });
  index.add([{ id: "1", text: "the small cat" }]);
  index.close();
  server = await createServer({
    models: Object.values(folders).map((place) => ({ folder: place })),
    indexes: [{ folder: join(folder, "index") }],
  });
  await server.load();
});
afterAll(async () => {
  await server.app.close();
  server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

async function post(url: string, payload: object | string, headers: Record<string, string> = {}) {
  const response = await server.app.inject({
    method: "POST",
    url,
    payload,
    headers: { "content-type": "application/json", ...headers },
  });
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what each test looks at.
  return { status: response.statusCode, headers: response.headers, body: response.json() as any };
}
const get = async (url: string) => {
  const response = await server.app.inject({ method: "GET", url });
  return { status: response.statusCode, text: response.body, headers: response.headers };
};

const texts = ["the small cat", "a large dog ran after the cat on the mat", "london"];
/** Vectors by the library itself. */
function direct(list: readonly string[] = texts): number[][] {
  const embedder = loadEmbedder(folders.embedder);
  const vectors = scope(() => embedder.embed(list).toArray() as number[][]);
  embedder.dispose();
  return vectors;
}
function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-5): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of actual.entries()) expect(Math.abs(value - expected[i])).toBeLessThan(tolerance);
}
const cosine = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i], 0) / (Math.hypot(...a) * Math.hypot(...b));

describe("vectors", () => {
  test("/embed gives what the library gives, with what it cost", async () => {
    const { status, headers, body } = await post("/embed", { inputs: texts });
    expect(status).toBe(200);
    direct().forEach((vector, i) => {
      expectClose(body[i], vector);
    });
    expect(headers["x-compute-type"]).toBe("cpu");
    expect(Number(headers["x-compute-tokens"])).toBeGreaterThan(10);
    expect(headers["x-compute-characters"]).toBe(String(texts.join("").length));
    expect(headers["x-cloze-truncated-tokens"]).toBeUndefined();
  });
  test("one text gives a list of one vector; lengths and dimensions as asked", async () => {
    const [vector] = direct([texts[0]]);
    expectClose((await post("/embed", { inputs: texts[0] })).body[0], vector);
    const raw = (await post("/embed", { inputs: texts[0], normalize: false })).body[0];
    expect(Math.hypot(...raw)).not.toBeCloseTo(1, 2);
    expect(cosine(raw, vector)).toBeCloseTo(1, 5);
    const short = (await post("/embed", { inputs: texts[0], dimensions: 4 })).body[0];
    expect(short).toHaveLength(4);
    expect(Math.hypot(...short)).toBeCloseTo(1, 5);
    expect(cosine(short, vector.slice(0, 4))).toBeCloseTo(1, 5);
  });
  test("token ids are taken as they are", async () => {
    const ids = Array.from(loadTokenizer(folders.embedder).encodeIds(texts[1]));
    expectClose((await post("/embed", { inputs: ids })).body[0], direct([texts[1]])[0]);
    expectClose((await post("/v1/embeddings", { input: [ids] })).body.data[0].embedding, direct([texts[1]])[0]);
  });
  test("what is too long is cut and said, or refused", async () => {
    const long = "cat ".repeat(100);
    const cut = await post("/embed", { inputs: long });
    expect(cut.status).toBe(200);
    expect(cut.headers["x-cloze-truncated-tokens"]).toBe(String(102 - tinyMaxLength));
    expectClose(cut.body[0], direct([long])[0]);
    const refused = await post("/embed", { inputs: long, truncate: false });
    expect(refused.status).toBe(422);
    expect(refused.body).toEqual({
      error: `inputs must have less than ${tinyMaxLength + 1} tokens. Given: 102`,
      error_type: "Validation",
    });
    const right = (await post("/embed", { inputs: `dog ${long}`, truncation_direction: "Right" })).body[0];
    const left = (await post("/embed", { inputs: `dog ${long}`, truncation_direction: "Left" })).body[0];
    expect(cosine(left, right)).toBeLessThan(0.9999);
    expectClose(left, direct(["cat ".repeat(30)])[0]);
  });
  test("OpenAI's form: floats and base64", async () => {
    const { body } = await post("/v1/embeddings", { input: texts, model: "embedder", user: "me" });
    expect(body).toMatchObject({
      object: "list",
      model: "embedder",
      usage: { prompt_tokens: body.usage.total_tokens },
    });
    direct().forEach((vector, i) => {
      expect(body.data[i]).toMatchObject({ object: "embedding", index: i });
      expectClose(body.data[i].embedding, vector);
    });
    const coded = await post("/embeddings", { input: texts[0], encoding_format: "base64", dimensions: 8 });
    const bytes = Buffer.from(coded.body.data[0].embedding, "base64");
    expect(bytes).toHaveLength(32);
    expect(
      cosine(
        Array.from({ length: 8 }, (_, i) => bytes.readFloatLE(4 * i)),
        direct()[0].slice(0, 8),
      ),
    ).toBeCloseTo(1, 5);
  });
  test("/embed_all gives a vector for each token, whose mean is the text's", async () => {
    const { body } = await post("/embed_all", { inputs: texts });
    direct().forEach((vector, i) => {
      const mean = vector.map((_, d) => body[i].reduce((sum: number, token: number[]) => sum + token[d], 0));
      expect(cosine(mean, vector)).toBeCloseTo(1, 5);
    });
    expect(body[1].length).toBeGreaterThan(body[0].length);
  });
  test("/embed_sparse is SPLADE over the model's own logits", async () => {
    const { status, body } = await post("/embed_sparse", { inputs: texts });
    expect(status).toBe(200);
    const model = loadModel(folders.language);
    const ids = loadTokenizer(folders.language).encodeIds(texts[0]);
    const batch = {
      ids,
      segments: new Int32Array(ids.length),
      positions: Int32Array.from(ids.keys()),
      offsets: Int32Array.of(0, ids.length),
    };
    const logits = scope(() => model.forward(batch).logits?.toArray()) as number[][];
    const expected = logits[0].map((_, v) => Math.log1p(Math.max(0, ...logits.map((row) => row[v]))));
    const found = new Map<number, number>(
      body[0].map(({ index, value }: { index: number; value: number }) => [index, value]),
    );
    expected.forEach((value, v) => {
      expect(found.get(v) ?? 0).toBeCloseTo(value, 4);
    });
    expect(found.size).toBe(expected.filter((value) => value > 0).length);
    model.dispose();
  });
  test("/similarity is the cosine", async () => {
    const { body } = await post("/similarity", {
      inputs: { source_sentence: texts[0], sentences: texts.slice(1) },
      parameters: { truncate: true },
    });
    const [source, ...others] = direct();
    expectClose(
      body,
      others.map((other) => cosine(source, other)),
    );
  });
});

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

describe("tokens", () => {
  test("/tokenize and /decode go there and back; places are bytes of UTF-8", async () => {
    const text = "the größe cat";
    const { body } = await post("/tokenize", { inputs: text });
    const bytes = Buffer.from(text);
    expect(body[0][0]).toEqual({ id: expect.any(Number), text: "[CLS]", special: true, start: null, stop: null });
    for (const token of body[0]) {
      if (!token.special) expect(bytes.subarray(token.start, token.stop).toString()).toBe(token.text);
    }
    const ids = body[0].map(({ id }: { id: number }) => id);
    expect((await post("/decode", { ids })).body[0]).toMatch(/^the gr.+ cat$/);
    expect((await post("/decode", { ids: [ids, ids], skip_special_tokens: false })).body[1]).toContain("[CLS]");
    const plain = await post("/tokenize", { inputs: [text, text], add_special_tokens: false });
    expect(plain.body[1].every(({ special }: { special: boolean }) => !special)).toBe(true);
  });
});

describe("what is served", () => {
  test("/v1/models lists all; one by name; /info describes", async () => {
    const list = JSON.parse((await get("/v1/models")).text);
    expect(list.data.map(({ id }: { id: string }) => id)).toEqual(Object.keys(folders));
    expect(JSON.parse((await get("/v1/models/reader")).text)).toMatchObject({ id: "reader", object: "model" });
    expect((await get("/v1/models/nobody")).status).toBe(404);
    const info = JSON.parse((await get("/info")).text);
    expect(Object.keys(info)).toEqual([
      "model_id",
      "model_sha",
      "model_dtype",
      "served_model_name",
      "model_type",
      "max_concurrent_requests",
      "max_input_length",
      "max_batch_tokens",
      "max_batch_requests",
      "max_client_batch_size",
      "auto_truncate",
      "tokenization_workers",
      "version",
      "sha",
      "docker_label",
    ]);
    expect(info).toMatchObject({
      served_model_name: "embedder",
      model_type: { embedding: { pooling: "mean" } },
      max_input_length: tinyMaxLength,
      max_concurrent_requests: 512,
      max_batch_tokens: 16384,
      max_client_batch_size: 32,
    });
    expect(JSON.parse((await get("/info?model=reranker")).text).model_type).toHaveProperty("reranker");
    expect(JSON.parse((await get("/models/classifier/info")).text).model_type).toEqual({
      classifier: { id2label: { 0: "bad", 1: "good" }, label2id: { bad: 0, good: 1 } },
    });
  });
  test("a model has a place of its own, and the root answers for what it is", async () => {
    expectClose((await post("/models/embedder/embed", { inputs: texts[0] })).body[0], direct()[0]);
    expectClose((await post("/", { inputs: texts[0] })).body[0], direct()[0]);
    expect((await post("/models/classifier", { inputs: texts[0] })).body).toHaveLength(2);
    expect((await post("/models/reranker", { query: "cat", texts })).body).toHaveLength(3);
    expect((await post("/models/embedder/predict", { inputs: texts[0] })).status).toBe(424);
  });
  test("health, and metrics under both kinds of names", async () => {
    for (const path of ["/livez", "/readyz", "/health", "/ping", "/"]) expect((await get(path)).status).toBe(200);
    await post("/embed", { inputs: texts, truncate: true });
    const { text, headers } = await get("/metrics");
    expect(headers["content-type"]).toContain("text/plain");
    for (const name of [
      'cloze_requests_total{route="/embed",model="embedder",status="200"}',
      'cloze_request_duration_seconds_bucket{le="0.000015",stage="queue"}',
      "cloze_queue_depth 0",
      "cloze_batch_tokens_count",
      'cloze_tokens_total{model="embedder"}',
      'cloze_truncated_tokens_total{model="embedder"}',
      'cloze_model_memory_bytes{model="embedder"}',
      "process_resident_memory_bytes",
      'te_request_count{method="single"}',
      'te_request_success{method="batch"}',
      'te_request_failure{err="validation"}',
      "te_request_duration_bucket",
      "te_request_tokenization_duration_sum",
      "te_request_queue_duration_sum",
      "te_request_inference_duration_sum",
      "te_request_input_length_bucket",
      "te_embed_count",
      "te_embed_success",
      "te_predict_duration_sum",
      "te_queue_size 0",
      "te_batch_next_size_count",
      "te_batch_next_tokens_count",
    ]) {
      expect(text, name).toContain(name);
    }
  });
  test("the description names every path, with its body, its answer and its refusals", async () => {
    const { paths, openapi } = JSON.parse((await get("/openapi.json")).text);
    expect(openapi).toBe("3.1.0");
    for (const path of ["/v1/embeddings", "/v1/rerank", "/embed", "/rerank", "/predict", "/qa", "/metrics"]) {
      expect(paths).toHaveProperty([path]);
    }
    const { post: embed } = paths["/embed"];
    expect(embed.requestBody.content["application/json"].schema.properties).toHaveProperty("truncation_direction");
    expect(Object.keys(embed.responses)).toEqual(expect.arrayContaining(["200", "400", "422", "424", "429", "503"]));
    expect(paths["/rerank"].post.requestBody.content["application/json"].schema.anyOf).toHaveLength(2);
    expect((await get("/docs")).text).toContain("openapi.json");
    const typesOf = (path: string) => Object.keys(paths[path].get.responses[200].content);
    for (const path of ["/metrics", "/health", "/docs", "/info"]) {
      expect((await get(path)).headers["content-type"]).toContain(typesOf(path)[0]);
    }
  });
  test("every example of the description is answered, or refused for the model alone", async () => {
    const { paths } = JSON.parse((await get("/openapi.json")).text);
    for (const [path, { post: operation }] of Object.entries<
      Record<string, { requestBody?: { content: Record<string, { example: object }> } }>
    >(paths)) {
      if (operation?.requestBody === undefined) continue;
      const { status, body } = await post(path, operation.requestBody.content["application/json"].example);
      expect([path, status, body.error], path).toEqual([path, 200, undefined]);
    }
  });
});
