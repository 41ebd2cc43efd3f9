import { scope, type Tensor, tensor } from "@cloze/tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { createWarnings } from "../data/readers/warnings.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { createObjective, parseObjective } from "./index.js";
import { buildNgramLexicon, ngramLexicon, ngramScore, segmentNgrams } from "./ngrams/lexicon.js";
import { hidePieces, hideTokens, type PieceBatch, withPlaceholders } from "./ngrams/segments.js";

const vocabulary = { maskId: 4, clsId: 2, sepId: 3, vocabularySize: 30, specialIds: new Set([0, 2, 3, 4]) };
const lexicon = ngramLexicon([
  { ids: [6, 7], count: 5, score: 3 },
  { ids: [7, 8], count: 5, score: 3 },
  { ids: [8, 9, 10], count: 5, score: 2 },
]);
const encoder = uniformEncoder({
  vocabularySize: 30,
  hiddenSize: 16,
  layers: 2,
  heads: 4,
  maxPositions: 30,
  dropout: 0,
});
const batch = packSequences([{ ids: [2, 5, 6, 7, 8, 9, 10, 11, 3] }, { ids: [2, 6, 7, 3, 8, 9, 10, 3] }]);

describe("the lexicon", () => {
  test("an independent pair scores about 0, a planted one far above", () => {
    expect(ngramScore(100, 10000, [0.1, 0.1])).toBeCloseTo(0, 10);
    const random = randomSource(1);
    const sentences = Array.from({ length: 400 }, (_, i) => {
      const ids = Array.from({ length: 12 }, () => 10 + Math.floor(random() * 20));
      if (i % 4 === 0) ids.splice(5, 2, 40, 41);
      return ids;
    });
    const found = buildNgramLexicon(sentences, { n: [2], size: 50 });
    expect(found.entries[0].ids).toEqual([40, 41]);
    expect(found.entries[0].score).toBeGreaterThan(5);
    expect(found.entries.slice(1).every(({ score }) => score < 4)).toBe(true);
  });
  test("n-grams do not cross sentences, and have no excluded token", () => {
    const sentences = Array.from({ length: 9 }, () => [1, 2]);
    expect(buildNgramLexicon(sentences, { n: [2], minimumCount: 1 }).entries.map(({ ids }) => ids)).toEqual([[1, 2]]);
    expect(() => buildNgramLexicon(sentences, { excluded: new Set([2]) })).toThrow(/frequent/);
  });
  test("a sentence is cut into as few pieces as brute force finds", () => {
    const pieces = (ids: number[], start: number): number => {
      if (start === ids.length) return 0;
      let best = 1 + pieces(ids, start + 1);
      for (let length = 2; length <= 3 && start + length <= ids.length; length++) {
        if (lexicon.find(ids, start, length) !== undefined) best = Math.min(best, 1 + pieces(ids, start + length));
      }
      return best;
    };
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 5, max: 11 }), { maxLength: 9 }), (ids) => {
        const starts = segmentNgrams(ids, lexicon);
        expect(starts.length - 1).toBe(pieces(ids, 0));
        expect(starts[starts.length - 1]).toBe(ids.length);
        for (let i = 0; i + 1 < starts.length; i++) {
          const length = starts[i + 1] - starts[i];
          if (length > 1) expect(lexicon.find(ids, starts[i], length)).toBeDefined();
        }
      }),
    );
  });
});

const hidden = (seed: number, rate = 0.5): PieceBatch =>
  hidePieces(batch, lexicon, vocabulary, randomSource(seed), rate);

describe("pieces", () => {
  test("each chosen piece is one [MASK], places count pieces, special tokens stay and are not crossed", () => {
    for (let seed = 0; seed < 20; seed++) {
      const { batch: short, chosen } = hidden(seed);
      const lost = chosen.reduce((sum, { ids }) => sum + ids.length - 1, 0);
      expect(short.ids.length).toBe(batch.ids.length - lost);
      for (const { row, ids, identity } of chosen) {
        expect(short.ids[row]).toBe(4);
        expect(identity).toBe(ids.length === 1 ? ids[0] : 30 + (lexicon.find(ids, 0, ids.length) as number));
      }
      expect(Array.from(short.ids).filter((id) => id === 3)).toHaveLength(3);
      short.positions.forEach((place, row) => {
        const start = row < short.offsets[1] ? 0 : short.offsets[1];
        expect(place).toBe(row - start);
      });
    }
  });
  test("placeholders have the place of their piece, one for each of its tokens, and tell slots apart", () => {
    const pieces = hidden(3);
    const { batch: long, pieceRows, rows, targets } = withPlaceholders(pieces, (slot) => 30 + slot);
    expect(rows.length).toBe(pieces.chosen.reduce((sum, { ids }) => sum + ids.length, 0));
    expect(Array.from(targets)).toEqual(pieces.chosen.flatMap(({ ids }) => [...ids]));
    let at = 0;
    pieces.chosen.forEach(({ ids }, i) => {
      ids.forEach((_, slot) => {
        expect(long.positions[rows[at]]).toBe(long.positions[pieceRows[i]]);
        expect(long.ids[rows[at]]).toBe(30 + slot);
        at++;
      });
    });
    expect(long.unseen?.reduce((sum, one) => sum + one, 0)).toBe(rows.length);
    for (const row of rows) expect(long.unseen?.[row]).toBe(1);
  });
  test("without n-grams pieces are tokens: what is read is that of masked words", () => {
    const pieces = hidePieces(batch, ngramLexicon([]), vocabulary, randomSource(2), 0.3);
    const masked = hideTokens(pieces);
    expect(masked.batch).toEqual(pieces.batch);
    expect(Array.from(masked.targets)).toEqual(pieces.chosen.map(({ identity }) => identity));
    masked.batch.ids.forEach((id, row) => {
      expect(id).toBe(masked.rows.includes(row) ? 4 : batch.ids[row]);
    });
  });
});

test("what stands before placeholders does not see them, and they do not see each other", () => {
  const model = createModel({ architecture: "ForMaskedLM", config: encoder });
  const pieces = hidden(5);
  const extraWords = tensor(
    Float32Array.from({ length: 48 }, (_, i) => Math.sin(i)),
    [3, 16],
  );
  scope(() => {
    const states = (of: Parameters<typeof model.forward>[0]) => model.forward(of).hidden.toArray() as number[][];
    const { batch: long, kept, rows } = withPlaceholders(pieces, (slot) => 30 + slot);
    const all = states({ ...long, extraWords });
    const alone = states(pieces.batch);
    kept.forEach((row, i) => {
      for (const [j, value] of all[row].entries()) expect(value).toBeCloseTo(alone[i][j], 5);
    });
    // Without its last piece, the other placeholders are what they were.
    const fewer = { ...pieces, chosen: pieces.chosen.slice(0, -1) };
    const less = withPlaceholders(fewer, (slot) => 30 + slot);
    const others = states({ ...less.batch, extraWords });
    less.rows.forEach((row, i) => {
      for (const [j, value] of others[row].entries()) expect(value).toBeCloseTo(all[rows[i]][j], 5);
    });
    // They are seen where nothing says otherwise.
    const open = states({ ...long, extraWords, unseen: undefined });
    expect(Math.abs(open[kept[0]][0] - all[kept[0]][0])).toBeGreaterThan(1e-6);
  });
  model.dispose();
});

const lossOf = (options: object, seed = 3) => {
  const model = createModel({ architecture: "ForMaskedLM", config: encoder, seed: 2 });
  const frame = { model, vocabulary, maxLength: 30, batchTokens: 100, seed: 1 };
  const objective = createObjective(parseObjective({ type: "ngram-mlm", lexicon: [], rate: 0.5, ...options }), frame);
  const prepared = objective.prepare!(batch, randomSource(seed));
  const loss = scope(() => (objective.loss(prepared, { seed: 1, step: 0 }) as Tensor).item());
  objective.dispose();
  model.dispose();
  return loss;
};

test("without n-grams explicit, contiguous and masked words are the same loss; comprehensive asks twice", () => {
  const [explicit, contiguous, comprehensive] = ["explicit", "contiguous", "comprehensive"].map((mode) =>
    lossOf({ mode }),
  );
  expect(explicit).toBeCloseTo(contiguous, 6);
  expect(comprehensive).toBeGreaterThan(explicit);
});

test("with n-grams, each mode has a finite loss", () => {
  for (const mode of ["contiguous", "explicit", "comprehensive", "enhanced"]) {
    expect(Number.isFinite(lossOf({ mode, lexicon: lexicon.entries }))).toBe(true);
  }
});

test("placeholders need attention to all of a sequence, and a lexicon its tokenizer", () => {
  const config = uniformEncoder({ vocabularySize: 30, hiddenSize: 16, layers: 1, heads: 4 });
  const layers = [{ ...config.layers[0], mixer: { type: "fourier" as const } }];
  const model = createModel({ architecture: "ForMaskedLM", config: { ...config, layers } });
  const frame = { model, vocabulary, maxLength: 30, batchTokens: 100, seed: 1 };
  expect(() => createObjective(parseObjective({ type: "ngram-mlm", lexicon: [] }), frame)).toThrow(/mode=explicit/);
  expect(() =>
    createObjective(parseObjective({ type: "ngram-mlm", lexicon: [], mode: "explicit" }), frame),
  ).not.toThrow();
  expect(() => lossOf({ lexicon: [{ ids: [6, 99] }] })).toThrow(/another tokenizer/);
  expect(() => lossOf({ lexicon: "/nowhere/lexicon.json" })).toThrow(/lexicon/);
  expect(() => parseObjective({ type: "ngram-mlm" })).toThrow(/`cloze lexicon` makes one/);
  model.dispose();
});

test("a lexicon of which nothing stands in the texts is a counted warning; in evaluation nothing is dropped", () => {
  const dropping = uniformEncoder({ vocabularySize: 30, hiddenSize: 16, layers: 1, heads: 4, dropout: 0.5 });
  const model = createModel({ architecture: "ForMaskedLM", config: dropping, seed: 2 });
  const frame = { model, vocabulary, maxLength: 30, batchTokens: 100, seed: 1 };
  const found = (entries: readonly number[][]) => {
    const warnings = createWarnings();
    const config = parseObjective({ type: "ngram-mlm", lexicon: entries.map((ids) => ({ ids })), rate: 0.5 });
    const texts = () => [[5, 6, 7, 9], [8]];
    return { objective: createObjective(config, { ...frame, texts, warnings }), warnings: warnings.list() };
  };
  const unused = found([
    [7, 6],
    [9, 8],
    [6, 7, 8],
  ]);
  expect(unused.warnings).toMatchObject([{ code: "LEXICON_UNUSED", count: 3 }]);
  const { objective, warnings } = found([
    [9, 8],
    [6, 7],
  ]);
  expect(warnings).toEqual([]);
  const prepared = objective.prepare!(batch, randomSource(1));
  const loss = (seed: number, training: boolean) =>
    scope(() => objective.loss(prepared, { seed, step: 0, training }).item());
  expect(loss(1, false)).toBe(loss(2, false));
  expect(loss(1, true)).not.toBe(loss(2, true));
  for (const one of [unused.objective, objective]) one.dispose();
  model.dispose();
});
