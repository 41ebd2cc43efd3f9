import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scope } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { trainWordPiece } from "../text/index.js";
import { createEmbedder, type Embedder, type EmbedOptions } from "./embedder.js";
import { createDense } from "./modules/index.js";
import { loadEmbedder, saveEmbedder } from "./sentence-transformers.js";

const fixtures = fileURLToPath(new URL("../../test/fixtures/embedders", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cloze-sentence-transformers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Expected {
  texts: string[];
  embeddings: Record<string, number[][]>;
  similarity: string;
  max_length: number;
}

/** The whole folder of a fixture: the encoder is kept once for all of them. */
function assemble(name: string): string {
  const target = join(folder, name);
  cpSync(join(fixtures, "encoder"), target, { recursive: true });
  cpSync(join(fixtures, "models", name), target, { recursive: true });
  return target;
}
const expectedOf = (path: string): Expected => JSON.parse(readFileSync(join(path, "expected.json"), "utf8"));
const rows = (embedder: Embedder, texts: readonly string[], options: EmbedOptions = {}): number[][] =>
  scope(() => embedder.embed(texts, options).toArray() as number[][]);

function expectRows(received: readonly number[][], expected: readonly number[][]): void {
  expect(received.length).toBe(expected.length);
  received.forEach((row, i) => {
    expect(row.length).toBe(expected[i].length);
    row.forEach((value, c) => {
      expect(Math.abs(value - expected[i][c])).toBeLessThan(2e-5 * Math.max(1, Math.abs(expected[i][c])));
    });
  });
}

const calls: Record<string, EmbedOptions> = { default: {}, query: { role: "query" }, none: { prompt: "" } };

describe("folders that sentence-transformers wrote", () => {
  test.each(readdirSync(join(fixtures, "models")))("%s: the same vectors, also after saving", (name) => {
    const source = assemble(name);
    const { texts, embeddings, similarity, max_length } = expectedOf(source);
    const embedder = loadEmbedder(source);
    const saved = join(folder, `${name}-saved`);
    saveEmbedder(embedder, saved);
    const loaded = loadEmbedder(saved);
    for (const one of [embedder, loaded]) {
      expect(one.options.similarity).toBe(similarity);
      expect(one.options.maxLength).toBe(max_length);
      for (const [call, expected] of Object.entries(embeddings)) expectRows(rows(one, texts, calls[call]), expected);
      expect(one.width).toBe(embeddings.default[0].length);
    }
    expect(loaded.options).toEqual(embedder.options);
    expect(rows(loaded, texts)).toEqual(rows(embedder, texts));
    embedder.dispose();
    loaded.dispose();
  });

  test.each(readdirSync(join(fixtures, "models")))("%s with truncate_dim: the first numbers of its vectors", (name) => {
    const path = assemble(name);
    const settings = join(path, "config_sentence_transformers.json");
    const read = existsSync(settings) ? (JSON.parse(readFileSync(settings, "utf8")) as object) : {};
    writeFileSync(settings, JSON.stringify({ ...read, truncate_dim: 3 }));
    const { texts, embeddings } = expectedOf(path);
    const embedder = loadEmbedder(path);
    const saved = join(folder, `${name}-cut`);
    saveEmbedder(embedder, saved);
    const loaded = loadEmbedder(saved);
    for (const one of [embedder, loaded]) {
      expect(one.width).toBe(3);
      const expected = embeddings.default.map((row) => row.slice(0, 3));
      expectRows(rows(one, texts, calls.default), expected);
      one.dispose();
    }
  });

  test("modules are found by the last part of their type, whatever stands before it", () => {
    const path = assemble("dense");
    const modules = JSON.parse(readFileSync(join(path, "modules.json"), "utf8")) as { type: string }[];
    const renamed = modules.map((one) => ({ ...one, type: `some.where.else.${one.type.split(".").pop()}` }));
    writeFileSync(join(path, "modules.json"), JSON.stringify(renamed));
    const embedder = loadEmbedder(path);
    const { texts, embeddings } = expectedOf(path);
    expectRows(rows(embedder, texts), embeddings.default);
    embedder.dispose();
  });

  test("the flags of old folders and the names of new ones mean the same", () => {
    const path = assemble("weighted-mean");
    writeFileSync(
      join(path, "1_Pooling", "config.json"),
      JSON.stringify({
        word_embedding_dimension: 16,
        pooling_mode_weightedmean_tokens: true,
        pooling_mode_mean_tokens: false,
      }),
    );
    const embedder = loadEmbedder(path);
    const { texts, embeddings } = expectedOf(path);
    expectRows(rows(embedder, texts), embeddings.default);
    embedder.dispose();
  });
});

describe("what cannot be read is said", () => {
  const changed = (file: string, content: unknown): string => {
    const path = assemble("dense");
    writeFileSync(join(path, file), typeof content === "string" ? content : JSON.stringify(content));
    return path;
  };
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  const transformer = { path: "", type: "Transformer" };
  test.each([
    ["modules.json", "{", "EMBEDDER_FILE"],
    ["modules.json", [transformer, { path: "1", type: "a.b.CLIPModel" }], "EMBEDDER_MODULE"],
    ["modules.json", [{ path: "", type: "sentence_transformers.base.modules.router.Router" }], "EMBEDDER_FILE"],
    ["1_Pooling/config.json", { pooling_mode: "median" }, "EMBEDDER_POOLING"],
    ["2_Dense/config.json", { in_features: 17, out_features: 2 }, "EMBEDDER_FILE"],
    ["2_Dense/config.json", { in_features: "x" }, "EMBEDDER_FILE"],
    ["2_Dense/config.json", { in_features: 16, out_features: 6, activation_function: "os.system" }, "EMBEDDER_MODULE"],
    ["config_sentence_transformers.json", { similarity_fn_name: "guess" }, "EMBEDDER_SIMILARITY"],
    ["config_sentence_transformers.json", { default_prompt_name: "query" }, "PROMPT_UNKNOWN"],
  ])("%s with %j: %s", (file, content, wanted) => {
    expect(() => loadEmbedder(changed(file, content))).toThrow(code(wanted));
  });
});

describe("an embedder's options", () => {
  const base = () => loadEmbedder(assemble("cls"));
  test("lower-casing, prompts by name, and prompts that do not exist", () => {
    const { model, tokenizer, options } = base();
    const embedder = createEmbedder(model, tokenizer, { ...options, lowerCase: true, prompts: { ask: "the " } });
    expect(rows(embedder, ["A Small CAT"])).toEqual(rows(embedder, ["a small cat"]));
    expect(rows(embedder, ["moon"], { promptName: "ask" })).toEqual(rows(embedder, ["the moon"]));
    expect(() => embedder.embed(["x"], { promptName: "tell" })).toThrow(/"tell"/);
    embedder.dispose();
  });

  test("cut texts are counted, and cut as the tokenizer cuts them", () => {
    const embedder = base();
    const { texts } = expectedOf(join(folder, "cls"));
    const counts = { texts: 0, tokens: 0, truncatedTexts: 0, droppedTokens: 0 };
    const short = createEmbedder(embedder.model, embedder.tokenizer, { ...embedder.options, maxLength: 6 });
    const ids = short.tokenize(texts, {}, counts);
    const plain = texts.map((text) => embedder.tokenizer.encodeIds(text, { truncation: { maxLength: 6 } }));
    expect(ids).toEqual(plain);
    const whole = texts.map((text) => embedder.tokenizer.encodeIds(text, { truncation: false }).length);
    expect(counts).toEqual({
      texts: texts.length,
      tokens: ids.reduce((sum, { length }) => sum + length, 0),
      truncatedTexts: whole.filter((length) => length > 6).length,
      droppedTokens: whole.reduce((sum, length) => sum + Math.max(0, length - 6), 0),
    });
    embedder.dispose();
  });

  test("without waiting for each batch it gives the same vectors", async () => {
    const embedder = base();
    const { texts } = expectedOf(join(folder, "cls"));
    const many = Array.from({ length: 50 }, (_, i) => texts[i % texts.length]);
    const result = await embedder.embedAsync(many, { tokenBudget: 20 });
    expect(result.toArray()).toEqual(rows(embedder, many, { tokenBudget: 20 }));
    result.dispose();
    embedder.dispose();
  });

  test("truncated to n layers it gives the hidden states after them, bit for bit; to m numbers the first of them", () => {
    const full = base();
    const { texts } = expectedOf(join(folder, "cls"));
    const cut = full.truncate({ layers: 1, dims: 5 });
    expect(cut.width).toBe(5);
    expect(cut.model.config.layers.length).toBe(1);
    const batch = full.pack(texts);
    scope(() => {
      const { hiddenStates = [] } = full.model.encoder.forward(batch, { hiddenStates: true });
      expect(cut.model.encoder.forward(batch).hidden.toTypedArray()).toEqual(hiddenStates[1].toTypedArray());
      const wide = full.truncate({ layers: 1 });
      const all = rows(wide, texts);
      expect(rows(cut, texts)).toEqual(all.map((row) => row.slice(0, 5)));
      wide.dispose();
    });
    const saved = join(folder, "cut");
    saveEmbedder(cut, saved);
    expect(JSON.parse(readFileSync(join(saved, "config.json"), "utf8")).num_hidden_layers).toBe(1);
    const loaded = loadEmbedder(saved);
    expect(rows(loaded, texts)).toEqual(rows(cut, texts));
    expect(() => full.truncate({ layers: 3 })).toThrow(/0 to 2/);
    expect(() => full.truncate({ dims: 0 })).toThrow(/1 to 16/);
    for (const one of [full, cut, loaded]) one.dispose();
  });

  test("modules made anew are trained, saved and loaded", () => {
    const { model, options } = base();
    const tokenizer = trainWordPiece(["a small cat"], { vocabularySize: 30, minFrequency: 1 });
    const modules = [createDense({ inputSize: 16, outputSize: 3 })];
    const embedder = createEmbedder(model, tokenizer, { ...options, modules });
    expect([...embedder.parameters.keys()].filter((name) => name.startsWith("modules."))).toEqual([
      "modules.0.linear.weight",
      "modules.0.linear.bias",
    ]);
    saveEmbedder(embedder, join(folder, "anew"));
    expect(existsSync(join(folder, "anew", "2_Dense", "model.safetensors"))).toBe(true);
    const loaded = loadEmbedder(join(folder, "anew"));
    expect(rows(loaded, ["a cat"])).toEqual(rows(embedder, ["a cat"]));
    embedder.dispose();
    loaded.dispose();
  });
});
