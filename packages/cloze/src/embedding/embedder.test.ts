import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { memory, scope } from "@cloze/tensor";
import { expect, test } from "vitest";
import { createRecipeEmbedder, demoRecipe } from "../demo/recipe.js";
import { trainWordPiece } from "../text/index.js";
import { createEmbedder } from "./embedder.js";
import type { Pooling } from "./pooling.js";
import { loadEmbedder, saveEmbedder } from "./sentence-transformers.js";
import { trainEmbedder } from "./train-embedder.js";

const texts = [
  "a small cat sat on the mat",
  "the large dog ran after a ball",
  "cats and dogs are animals",
  "",
  "the moon is far away from the earth",
  "a star is very hot and very far away",
];
const tokenizer = trainWordPiece(texts, { vocabularySize: 120, minFrequency: 1 });
const small = {
  ...demoRecipe,
  width: 32,
  heads: 2,
  headSize: 8,
  intermediateSize: 16,
  queryLength: 12,
  documentLength: 12,
};
const create = () => createRecipeEmbedder(tokenizer, small);
const vectors = (embedder: ReturnType<typeof create>, list = texts, role: "query" | "document" = "document") =>
  scope(() => embedder.embed(list, { role }).toTypedArray() as Float32Array);

test("batched is one by one, in any order, with any budget", () => {
  const embedder = create();
  const together = vectors(embedder);
  texts.forEach((text, i) => {
    const alone = vectors(embedder, [text]);
    alone.forEach((value, c) => {
      expect(together[i * 32 + c]).toBeCloseTo(value, 5);
    });
  });
  expect(vectors(embedder, ["", ""]).every((value) => value === 0)).toBe(true);
  embedder.dispose();
});

test("saved and loaded gives the same vectors, for every pooling", () => {
  const folder = mkdtempSync(join(tmpdir(), "cloze-embedder-"));
  for (const pooling of ["mean", "cls", "max"] satisfies Pooling[]) {
    const { model, options } = create();
    const embedder = createEmbedder(model, tokenizer, {
      ...options,
      pooling,
      specialTokens: true,
      normalize: pooling !== "max",
    });
    saveEmbedder(embedder, folder);
    const loaded = loadEmbedder(folder);
    expect(loaded.options).toEqual(embedder.options);
    expect(vectors(loaded, texts, "query")).toEqual(vectors(embedder, texts, "query"));
    loaded.dispose();
    embedder.dispose();
  }
  rmSync(folder, { recursive: true });
});

test("learns which texts belong together, with and without chunks, and leaks nothing", async () => {
  const pairs = [
    { query: "cat mat", document: texts[0], negatives: [texts[1]] },
    { query: "dog ball", document: texts[1] },
    { query: "hot star", document: texts[5] },
    { query: "the moon", document: texts[4] },
  ];
  for (const chunkSize of [undefined, 2]) {
    const nothing = memory.stats().liveBytes;
    const embedder = create();
    const before = memory.stats().liveBytes;
    const result = await trainEmbedder(embedder, pairs, { steps: 60, batchSize: 4, learningRate: 0.02, chunkSize });
    expect(result.loss).toBeLessThan(1.2);
    // Gradients of parameters stay for the next step; nothing else does.
    const gradients = [...embedder.model.parameters.values()].reduce((sum, { grad }) => sum + 4 * (grad?.size ?? 0), 0);
    expect(memory.stats().liveBytes - before).toBeLessThanOrEqual(gradients);
    const queries = vectors(
      embedder,
      pairs.map(({ query }) => query),
      "query",
    );
    const documents = vectors(
      embedder,
      pairs.map(({ document }) => document),
    );
    pairs.forEach((_, q) => {
      const scores = pairs.map((__, d) =>
        documents.subarray(d * 32, d * 32 + 32).reduce((sum, value, c) => sum + value * queries[q * 32 + c], 0),
      );
      expect(scores.indexOf(Math.max(...scores))).toBe(q);
    });
    // With the plan that embeds goes everything.
    embedder.dispose();
    expect(memory.stats().liveBytes).toBe(nothing);
  }
});

const checkpoint = fileURLToPath(new URL("../../../../../shared/models/all-MiniLM-L6-v2", import.meta.url));
const golden = fileURLToPath(new URL("../../../../../shared/models/golden/embeddings.json", import.meta.url));

test.skipIf(!existsSync(checkpoint))("a real checkpoint gives sentence-transformers' vectors", () => {
  const embedder = loadEmbedder(checkpoint);
  const { texts: real, embeddings } = JSON.parse(readFileSync(golden, "utf8")) as {
    texts: string[];
    embeddings: number[][];
  };
  const ours = vectors(embedder, real);
  let largest = 0;
  embeddings.forEach((row, i) => {
    row.forEach((value, c) => {
      largest = Math.max(largest, Math.abs(value - ours[i * 384 + c]));
    });
  });
  expect(largest).toBeLessThan(2e-5);
  embedder.dispose();
});
