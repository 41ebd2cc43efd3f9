// Vectors, tokens and what is served, against the library called directly, on tiny models, through Fastify without a network.
import { scope } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { tinyMaxLength } from "../../../test/tiny-models.js";
import { cosine, serveTinyModels, texts } from "../../../test/tiny-server.js";
import { loadModel } from "../../families/index.js";
import { loadTokenizer } from "../../text/index.js";

const { folders, post, get, direct, close } = await serveTinyModels();
afterAll(close);

function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-5): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of actual.entries()) expect(Math.abs(value - expected[i])).toBeLessThan(tolerance);
}

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
