import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noGrad, scope, type Tensor, take, tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { uniformEncoder } from "../encoder/config.js";
import type { DocumentLevel, DocumentLevelInput } from "../encoder/document-level.js";
import { createModel } from "../families/index.js";
import { createExactIndex } from "../retrieval/exact.js";
import { trainWordPiece } from "../text/index.js";
import { blocksOfBatch, createDocumentEmbedder, matchTexts } from "./document-embedder.js";
import type { Embedder } from "./embedder.js";
import { embedLongTexts } from "./long-texts.js";
import { loadEmbedder, saveEmbedder } from "./sentence-transformers.js";
import { emptyCounts } from "./text-roles.js";
import { trainEmbedder } from "./train-embedder.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-documents-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const sentences = [
  "The moon is far away.",
  "A small cat sleeps.",
  "Large dogs ran after the ball.",
  "Stars shine at night.",
  "Cats and dogs eat.",
  "Nobody knows the way to the sea.",
];
const tokenizer = trainWordPiece(sentences, { vocabularySize: 90, minFrequency: 1 });
const width = 16;
const create = (level: DocumentLevelInput = {}, dropout = 0): Embedder => {
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize: width,
    layers: 1,
    heads: 2,
    intermediateSize: 24,
    maxPositions: 32,
    initializerRange: 0.3,
    dropout,
  });
  const model = createModel({ architecture: "ForMaskedLM", config, seed: 3 });
  return createDocumentEmbedder(
    model,
    tokenizer,
    { block: 16, maxBlocks: 8, document: { layers: 2, heads: 2, dropout }, ...level },
    { seed: 4 },
  );
};
const levelOf = (embedder: Embedder) => embedder.documentLevel as DocumentLevel;
const documents = [
  sentences.join(" "),
  sentences.slice(0, 3).join(" "),
  [...sentences].reverse().join(" "),
  sentences[1],
  "",
  sentences.slice(2, 5).join(" "),
];
const vectorsOf = (embedder: Embedder, texts: readonly string[]): number[][] =>
  scope(() => embedder.embed(texts).toArray()) as number[][];
const match = (embedder: Embedder, a: string, b: string): number => matchTexts(embedder, [[a, b]])[0].cosine;
const near = (a: ArrayLike<number>, b: ArrayLike<number>, digits = 5) => {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < b.length; i++) expect(a[i]).toBeCloseTo(b[i], digits);
};
const coded = (code: string) => expect.objectContaining({ code });

describe("an embedder of documents", () => {
  test("a block's vector depends on no other block and on no other document", () => {
    const embedder = create();
    const level = levelOf(embedder);
    scope(() =>
      noGrad(() => {
        const batch = blocksOfBatch(embedder.pack(documents));
        expect(batch.documents.at(-1)).toBe(batch.offsets.length - 1);
        const { hidden } = embedder.model.encoder.forward(batch);
        const all = level.blockVectors(hidden, batch.offsets).toArray() as number[][];
        all.forEach((row, i) => {
          const own = packSequences([{ ids: batch.ids.subarray(batch.offsets[i], batch.offsets[i + 1]) }]);
          const alone = level.blockVectors(embedder.model.encoder.forward(own).hidden, own.offsets);
          near((alone.toArray() as number[][])[0], row);
          expect(Math.hypot(...row)).toBeCloseTo(1, 5);
        });
      }),
    );
    const together = vectorsOf(embedder, documents);
    documents.forEach((text, i) => {
      near(vectorsOf(embedder, [text])[0], together[i]);
      expect(Math.hypot(...together[i])).toBeCloseTo(1, 5);
    });
    embedder.dispose();
  });

  test("48 blocks of 32 without padding are the padded rectangle with its mask", () => {
    const embedder = create({ block: 32, maxBlocks: 48 });
    const level = levelOf(embedder);
    const { encoder } = embedder.model;
    const words = (count: number, from: number) =>
      Int32Array.from([
        tokenizer.clsId,
        ...Array.from({ length: count }, (_, i) => 10 + ((from + 7 * i) % 60)),
        tokenizer.sepId,
        tokenizer.sepId,
      ]);
    const made = [48, 5].map((blocks, d) => Array.from({ length: blocks }, (_, i) => words(1 + ((5 * i + d) % 29), i)));
    scope(() =>
      noGrad(() => {
        const packed = embedder.embedBatch(
          embedder.packTokens(made.map((blocks) => Int32Array.from(blocks.flatMap((ids) => [...ids])))),
        );
        const rows = made.flatMap((blocks) => [...blocks, ...new Array(48 - blocks.length).fill(new Int32Array(0))]);
        const padded = packSequences(
          rows.map((ids: Int32Array) => ({ ids: [...ids, ...new Array(32 - ids.length).fill(tokenizer.padId)] })),
        );
        const visible = Int32Array.from(rows, (ids: Int32Array) => Math.max(1, ids.length));
        const { hidden } = encoder.forward({ ...padded, visible });
        const blocks = level.blockVectors(hidden, padded.offsets); // [96, hidden]
        const place = Int32Array.from({ length: 96 }, (_, i) => i % 48);
        const upper = level.encoder.forward({
          ids: Int32Array.from({ length: 96 }, (_, i) => i + 1),
          segments: new Int32Array(96),
          positions: place,
          offsets: Int32Array.of(0, 48, 96),
          visible: Int32Array.of(48, 5),
          extraWords: blocks,
        }).hidden;
        // The head on the first state of each: through `documentVectors` of the packed documents' first states.
        const packedStates = level.states(
          take(blocks, tensor(Int32Array.from([...Array(48).keys(), 48, 49, 50, 51, 52]))),
          Int32Array.of(0, 48, 53),
        );
        const first = (x: Tensor, at: number[]) => take(x, tensor(Int32Array.from(at))).toTypedArray();
        near(first(packedStates, [0, 48]), first(upper, [0, 48]), 4);
        near(first(packedStates, [47, 52]), first(upper, [47, 52]), 4);
        const again = level.documentVectors(
          take(blocks, tensor(Int32Array.from([...Array(48).keys(), 48, 49, 50, 51, 52]))),
          Int32Array.of(0, 48, 53),
        );
        near(packed.toTypedArray(), again.toTypedArray(), 4);
      }),
    );
    embedder.dispose();
  });

  test("a document matches itself wholly; two match alike in both orders; search orders as scores do", () => {
    const embedder = create();
    const [a, b] = documents;
    const [own, there, back] = matchTexts(embedder, [
      [a, a],
      [a, b],
      [b, a],
    ]);
    expect(own.cosine).toBeCloseTo(1, 5);
    expect(own.probability).toBeCloseTo(1 / (1 + Math.exp(-3)), 4);
    expect(there.cosine).toBeCloseTo(back.cosine, 6);
    const found = scope(() =>
      createExactIndex(embedder.embed(documents)).search(embedder.embed([a]), documents.length),
    );
    const scores = matchTexts(
      embedder,
      documents.map((text) => [a, text] as const),
    ).map(({ cosine }) => cosine);
    const order = scores.map((_, i) => i).sort((i, j) => scores[j] - scores[i]);
    expect(found[0].map(({ index }) => index)).toEqual(order);
    embedder.dispose();
  });

  test.each(["sum-concat", "mean-concat", "attention"] as const)(
    "%s puts the blocks before the document",
    (combine) => {
      const embedder = create({ pool: { combine, attentionSize: 5 } });
      const level = levelOf(embedder);
      expect(embedder.width).toBe(2 * width);
      scope(() =>
        noGrad(() => {
          const batch = blocksOfBatch(embedder.pack(documents));
          const blocks = level.blockVectors(embedder.model.encoder.forward(batch).hidden, batch.offsets);
          const rows = blocks.toArray() as number[][];
          const value = (name: string) => (level.parameters.get(`head.${name}`) as Tensor).toArray() as number[][];
          const score = (row: number[]) => {
            const bias = value("attention.bias") as unknown as number[];
            const inner = value("attention.weight").map((w, i) =>
              Math.tanh(w.reduce((s, x, c) => s + x * row[c], bias[i])),
            );
            return Math.exp(inner.reduce((s, x, i) => s + x * value("attention.vector")[0][i], 0));
          };
          const got = level.documentVectors(blocks, batch.documents).toArray() as number[][];
          documents.forEach((_, d) => {
            const own = rows.slice(batch.documents[d], batch.documents[d + 1]);
            const weights = own.map((row) => (combine === "attention" ? score(row) : 1));
            const total = combine === "sum-concat" ? 1 : weights.reduce((s, x) => s + x, 0);
            const wanted = own[0].map((_value, c) => own.reduce((s, row, i) => s + weights[i] * row[c], 0) / total);
            near(got[d].slice(0, width), wanted, 4);
            expect(Math.hypot(...got[d].slice(width))).toBeCloseTo(1, 4);
          });
        }),
      );
      embedder.dispose();
    },
  );

  test("ReLU heads give no negative number", () => {
    const embedder = create({ pool: { head: "relu-l2" } });
    expect(Math.min(...vectorsOf(embedder, documents).flat())).toBeGreaterThanOrEqual(0);
    embedder.dispose();
  });

  test("what is left out is counted; a text that spells special tokens stays in its blocks", async () => {
    const embedder = create({ block: 16, maxBlocks: 2 });
    const counts = emptyCounts();
    const long = Array.from({ length: 6 }, () => sentences[2]).join(" ");
    await embedder.embedAsync([long, sentences[1]], { counts });
    const whole = tokenizer.encodeIds(sentences[2], { addSpecialTokens: false }).length;
    const perBlock = Math.floor(13 / whole);
    expect(counts).toEqual({
      texts: 2,
      tokens: 2 * (perBlock * whole + 3) + tokenizer.encodeIds(sentences[1], { addSpecialTokens: false }).length + 3,
      truncatedTexts: 1,
      droppedTokens: (6 - 2 * perBlock) * whole,
    });
    near(
      vectorsOf(embedder, ["A small [CLS] cat [SEP] sleeps."])[0],
      vectorsOf(embedder, ["A small  cat  sleeps."])[0],
    );
    expect(embedder.options.maxLength).toBe(32);
    embedder.dispose();
  });

  test("saved and loaded, at once and with the event loop free: the same vectors", async () => {
    const embedder = create({ pool: { combine: "mean-concat" } });
    const path = join(folder, "saved");
    saveEmbedder(embedder, path);
    const loaded = loadEmbedder(path);
    expect(levelOf(loaded).config).toEqual(levelOf(embedder).config);
    const vectors = vectorsOf(embedder, documents);
    expect(vectorsOf(loaded, documents)).toEqual(vectors);
    const later = await loaded.embedAsync(documents, { tokenBudget: 20 });
    near(later.toTypedArray(), vectors.flat());
    later.dispose();
    loaded.dispose();
    const config = join(path, "1_DocumentLevel", "config.json");
    const text = readFileSync(config, "utf8");
    for (const broken of ["{", text.replace('"block": 16', '"block": 0')]) {
      writeFileSync(config, broken);
      expect(() => loadEmbedder(path)).toThrow(coded("EMBEDDER_FILE"));
    }
    embedder.dispose();
  });

  test("learns which documents match; a resumed run is the run", async () => {
    const rows = documents
      .slice(0, 4)
      .flatMap((first, i) =>
        documents.slice(0, 4).map((second, j) => ({ texts: [first, second], label: Number(i % 2 === j % 2) })),
      );
    const loss = { type: "pair-matching" };
    const how = { loss, batchSize: 8, learningRate: 3e-3, seed: 2 };
    const whole = create({}, 0.1);
    await trainEmbedder(whole, rows, { ...how, steps: 30 });
    const told = rows.map(({ texts: [first, second], label }) => ({ label, cosine: match(whole, first, second) }));
    const [yes, no] = [1, 0].map((label) => told.filter((row) => row.label === label).map(({ cosine }) => cosine));
    expect(Math.min(...yes)).toBeGreaterThan(Math.max(...no));
    const path = join(folder, "run");
    const half = create({}, 0.1);
    let step = 0;
    await trainEmbedder(half, rows, { ...how, steps: 30, folder: path, shouldStop: () => ++step > 12 });
    half.dispose();
    const resumed = create({}, 0.1);
    await trainEmbedder(resumed, rows, { ...how, steps: 30, folder: path, resume: true });
    expect(vectorsOf(resumed, documents)).toEqual(vectorsOf(whole, documents));
    resumed.dispose();
    // In chunks (GradCache) without dropout: the same weights to rounding.
    const [plain, chunks] = [create(), create()];
    await trainEmbedder(plain, rows, { ...how, steps: 2 });
    await trainEmbedder(chunks, rows, { ...how, steps: 2, chunkSize: 3 });
    near(vectorsOf(chunks, documents).flat(), vectorsOf(plain, documents).flat(), 3);
    for (const one of [whole, plain, chunks]) one.dispose();
  });

  test("what takes a document for one sequence is refused", async () => {
    const embedder = create();
    expect(() => embedLongTexts(embedder, documents, { strategy: "chunk" })).toThrow(coded("INVALID_OPTION"));
    expect(() => embedder.truncate({ layers: 1 })).toThrow(coded("INVALID_OPTION"));
    const pairs = documents.map((query) => ({ query, document: query }));
    const deep = { type: "matryoshka2d", base: "multiple-negatives", dims: [8] };
    await expect(trainEmbedder(embedder, pairs, { loss: deep, steps: 1 })).rejects.toThrow(coded("LOSS_OPTIONS"));
    embedder.dispose();
    expect(() => create({ block: 64 })).toThrow(coded("INVALID_OPTION"));
  });
});
