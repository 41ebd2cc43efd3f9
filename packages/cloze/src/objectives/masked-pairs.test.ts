// Replacements by TF-IDF, and questions about two segments (LegalTurk BERT, arXiv 2407.00648).
import { scope, type Tensor } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { madeVocabulary } from "../recipes/index.js";
import { createObjective, type Objective, parseObjective } from "./index.js";
import { joinSegments, makePairs } from "./masked-pairs.js";
import { type MaskedBatch, maskTokens } from "./masking.js";
import type { ObjectiveFrame } from "./objective.js";
import { documentFrequencies, globalCandidates, replacementOf } from "./replacements.js";

const vocabulary = { ...madeVocabulary(60), isContinuation: (id: number) => id >= 50 };
const documents = Array.from({ length: 30 }, (_, d) =>
  Array.from({ length: 40 }, (_, i) => 5 + ((i * (d + 1) + d) % 60)),
);
const model = createModel({
  architecture: "ForPreTraining",
  config: uniformEncoder({
    vocabularySize: vocabulary.vocabularySize,
    hiddenSize: 16,
    layers: 1,
    heads: 2,
    maxPositions: 48,
    dropout: 0,
  }),
  seed: 1,
});
const frame: ObjectiveFrame = {
  model,
  vocabulary,
  maxLength: 48,
  batchTokens: 256,
  seed: 1,
  texts: () => documents,
} as ObjectiveFrame;
const defaults = { replacementShare: 0.1, replacementCount: 5, minDocuments: 2, subwords: false } as const;
const batch = packSequences(documents.map((ids) => ({ ids: [2, ...ids, 3] })));

describe("TF-IDF", () => {
  test("of three documents, as computed by hand", () => {
    const counts = documentFrequencies(
      [
        [5, 5, 6],
        [6, 7],
        [6, 8, 8, 8],
      ],
      10,
    );
    expect(counts.documents).toBe(3);
    expect(Array.from(counts.frequencies.subarray(5, 9))).toEqual([1, 3, 1, 1]);
    // A token of every document: ln(4 / 4) + 1.
    expect(counts.idf[6]).toBe(1);
    expect(counts.idf[5]).toBeCloseTo(Math.log(4 / 2) + 1, 12);
    expect(counts.scores[6]).toBeCloseTo((1 / 3 + 1 / 2 + 1 / 4) / 3, 12);
    expect(counts.scores[5]).toBeCloseTo((2 / 3) * (Math.log(2) + 1), 12);
    expect(counts.scores[8]).toBeCloseTo((3 / 4) * (Math.log(2) + 1), 12);
    expect(counts.scores[9]).toBe(0);
    // Tokens of one document are none; with one allowed, the best first.
    expect(Array.from(globalCandidates(counts, vocabulary, { replacement: "tfidf-global", ...defaults }))).toEqual([6]);
    const all = globalCandidates(counts, vocabulary, { replacement: "tfidf-global", ...defaults, minDocuments: 1 });
    expect(Array.from(all)).toEqual([8, 5, 7, 6]);
  });

  test.each(["tfidf-global", "tfidf-document"] as const)(
    "%s: drawn tokens are candidates, not special, not the original",
    (replacement) => {
      const config = { replacement, ...defaults };
      const replace = replacementOf(config, frame);
      const counts = documentFrequencies(documents, vocabulary.vocabularySize);
      const global = new Set(globalCandidates(counts, vocabulary, config));
      const masked = maskTokens(batch, vocabulary, randomSource(3), {
        rate: 0.5,
        maskShare: 0,
        randomShare: 1,
        replacement: replace,
      });
      expect(masked.rows.length).toBeGreaterThan(500);
      masked.rows.forEach((row, i) => {
        const id = masked.batch.ids[row];
        expect(id).not.toBe(masked.targets[i]);
        expect(vocabulary.specialIds.has(id) || vocabulary.isContinuation(id)).toBe(false);
        const sequence = batch.offsets.findIndex((end) => end > row) - 1;
        const own = new Set(batch.ids.subarray(batch.offsets[sequence], batch.offsets[sequence + 1]));
        expect(replacement === "tfidf-global" ? global.has(id) : own.has(id) || global.has(id)).toBe(true);
      });
    },
  );

  test("the three branches follow their shares", () => {
    const replacement = replacementOf({ replacement: "tfidf-global", ...defaults }, frame);
    const found = [0, 0, 0];
    for (let round = 0; round < 120; round++) {
      const {
        rows,
        targets,
        batch: masked,
      } = maskTokens(batch, vocabulary, randomSource(9, round), { rate: 0.7, replacement });
      rows.forEach((row, i) => {
        found[masked.ids[row] === vocabulary.maskId ? 0 : masked.ids[row] === targets[i] ? 2 : 1]++;
      });
    }
    const total = found[0] + found[1] + found[2];
    expect(total).toBeGreaterThan(90_000);
    const chiSquare = [0.8, 0.1, 0.1].reduce(
      (sum, share, i) => sum + (found[i] - share * total) ** 2 / (share * total),
      0,
    );
    // Two degrees of freedom: 13.8 is passed by one run of a thousand.
    expect(chiSquare).toBeLessThan(13.8);
  });

  test("needs a corpus, and candidates", () => {
    const config = { replacement: "tfidf-global", ...defaults } as const;
    expect(() => replacementOf(config, { ...frame, texts: undefined })).toThrow(/corpus/);
    expect(() => replacementOf(config, { ...frame, texts: () => [[2, 3]] })).toThrow(/No token can stand in/);
    expect(replacementOf({ ...config, replacement: "uniform" }, { ...frame, texts: undefined })).toBeUndefined();
  });
});

describe("segments", () => {
  const plain = (ids: Int32Array): number[] => [...ids].filter((id) => !vocabulary.specialIds.has(id));
  const pairOf = (pairs: ReturnType<typeof makePairs>, s: number) => {
    const { ids, segments, offsets } = pairs.batch;
    const [start, end] = [offsets[s], offsets[s + 1]];
    return {
      first: plain(ids.subarray(start, end).filter((_, i) => segments[start + i] === 0)),
      second: plain(ids.subarray(start, end).filter((_, i) => segments[start + i] === 1)),
    };
  };

  test("SOP swaps segments and keeps types by position", () => {
    const pairs = makePairs(batch, "sop", vocabulary, 100, randomSource(1));
    let swapped = 0;
    documents.forEach((document, s) => {
      const { first, second } = pairOf(pairs, s);
      swapped += pairs.labels[s];
      expect(pairs.labels[s] === 1 ? [...second, ...first] : [...first, ...second]).toEqual(document);
      const types = pairs.batch.segments.subarray(pairs.batch.offsets[s], pairs.batch.offsets[s + 1]);
      expect([...types]).toEqual([...types].sort());
    });
    expect(swapped).toBeGreaterThan(5);
    expect(swapped).toBeLessThan(25);
  });

  test("NSP takes the second segment of another sequence in half of the pairs", () => {
    let [changed, count] = [0, 0];
    for (let round = 0; round < 100; round++) {
      const pairs = makePairs(batch, "nsp", vocabulary, 100, randomSource(2, round));
      pairs.labels.forEach((label, s) => {
        count++;
        changed += label;
        expect(pairs.partners[s] === s).toBe(label === 0);
        if (label === 0 && round === 0) {
          const { first, second } = pairOf(pairs, s);
          expect([...first, ...second]).toEqual(documents[s]);
        }
      });
    }
    expect(changed / count).toBeGreaterThan(0.48);
    expect(changed / count).toBeLessThan(0.52);
  });

  test("both segments fit", () => {
    for (const [a, b] of [
      [50, 3],
      [3, 50],
      [50, 50],
      [2, 2],
      [1, 0],
    ]) {
      const { ids, segments } = joinSegments(new Int32Array(a).fill(5), new Int32Array(b).fill(6), vocabulary, 20);
      expect(ids.length).toBe(Math.min(20, a + b + 3));
      expect(ids[0]).toBe(vocabulary.clsId);
      expect([...segments].filter((one) => one === 1).length).toBe(ids.length - ids.indexOf(vocabulary.sepId) - 1);
      if (a > 0 && b > 0) expect(new Set(ids).size).toBe(4);
    }
  });

  test("without a question the loss is that of masked words", () => {
    const objective = createObjective(
      parseObjective({ type: "masked-pairs", sentenceTask: "none" }),
      frame,
    ) as Objective<MaskedBatch>;
    const masked = (objective.prepare as NonNullable<typeof objective.prepare>)(batch, randomSource(4));
    const { rows, targets } = maskTokens(batch, vocabulary, randomSource(4));
    expect(masked.rows).toEqual(rows);
    const [ours, plainLoss] = scope(() => [
      objective.loss(masked, { seed: 1, step: 0 }).item(),
      (model.forward(masked.batch, { rows, targets, training: true, seed: 1 }).loss as Tensor).item(),
    ]);
    expect(ours).toBe(plainLoss);
    const asked = createObjective(parseObjective({ type: "sop" }), frame) as Objective<MaskedBatch>;
    const more = (asked.prepare as NonNullable<typeof asked.prepare>)(batch, randomSource(4));
    const withQuestion = scope(() => asked.loss(more, { seed: 1, step: 0 }).item());
    expect(withQuestion).toBeGreaterThan(ours + 0.3);
  });
});
