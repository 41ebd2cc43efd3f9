import { grad, linear as linearOf, parameter, scope, slice, tensor } from "@cloze/tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memoryDocuments } from "../data/document-store.js";
import { randomSource } from "../data/random-source.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { createObjective, parseObjective } from "./index.js";
import { bodyFirst, inverseCloze, linkedPassage } from "./pairs/retrieval-pairs.js";
import type { RetrievalBatch } from "./retrieval-pairs.js";
import { sampledSoftmaxLoss } from "./sampled-softmax.js";

// The id of a token says where it stands: article, paragraph, sentence.
const idOf = (d: number, p: number, s: number, i: number): number => 10 + d * 1000 + p * 100 + s * 10 + i;
const articles = memoryDocuments(
  Array.from({ length: 5 }, (_, d) => ({
    title: Int32Array.of(5 + d),
    sections: [0, 1].map((section) =>
      [0, 1].map((half) => {
        const p = section * 2 + half;
        return {
          sentences: Array.from({ length: 2 + ((d + p) % 3) }, (_, s) =>
            Int32Array.of(idOf(d, p, s, 0), idOf(d, p, s, 1)),
          ),
          ...(p === 2 ? { links: [(d + 1) % 5, (d + 2) % 5] } : {}),
        };
      }),
    ),
  })),
);
const paragraphs = (d: number) => articles.document(d).sections.flat();
const flat = (sentences: readonly Int32Array[]) => sentences.flatMap((ids) => [...ids]);
const forAll = (check: (position: number, seed: number) => void) =>
  fc.assert(fc.property(fc.nat({ max: 4 }), fc.nat(), check), { numRuns: 60 });

describe("pairs", () => {
  test("inverse cloze: a sentence of the passage, and all others in order, or all where it is kept", () => {
    forAll((position, seed) => {
      for (const keepQuery of [0, 1]) {
        const { query, passage, paragraph, to, title } = inverseCloze(articles, position, randomSource(seed), {
          keepQuery,
        })!;
        const { sentences } = paragraphs(to)[paragraph];
        const place = sentences.findIndex((ids) => ids[0] === query[0]);
        expect(Array.from(query)).toEqual(Array.from(sentences[place]));
        expect(Array.from(passage)).toEqual(
          flat(keepQuery === 1 ? sentences : sentences.filter((_, s) => s !== place)),
        );
        expect(title[0]).toBe(5 + position);
      }
    });
  });
  test("body first: another paragraph of the article than that of the query, which stands in the first section", () => {
    forAll((position, seed) => {
      const { query, passage, paragraph, from, to } = bodyFirst(articles, position, randomSource(seed))!;
      expect([from, to]).toEqual([position, position]);
      const own = Math.floor(((query[0] - 10) % 1000) / 100);
      expect(own).toBeLessThan(2);
      expect(paragraph).not.toBe(own);
      expect(Array.from(passage)).toEqual(flat(paragraphs(to)[paragraph].sentences));
    });
  });
  test("links: the passage is another article's, and links to the query's", () => {
    forAll((position, seed) => {
      const { passage, paragraph, from, to } = linkedPassage(articles, position, randomSource(seed))!;
      expect(from).toBe(position);
      expect(to).not.toBe(position);
      expect(paragraphs(to)[paragraph].links).toContain(position);
      expect(Array.from(passage)).toEqual(flat(paragraphs(to)[paragraph].sentences));
    });
  });
  test("the same random numbers give the same pairs; what has none gives none", () => {
    for (const make of [inverseCloze, bodyFirst, linkedPassage]) {
      expect(make(articles, 1, randomSource(3))).toEqual(make(articles, 1, randomSource(3)));
      const single = memoryDocuments([{ title: new Int32Array(0), sections: [[{ sentences: [Int32Array.of(1)] }]] }]);
      expect(make(single, 0, randomSource(1))).toBeUndefined();
    }
  });
});

const random = randomSource(2);
const matrix = (rows: number, width = 4) =>
  Array.from({ length: rows }, () => Array.from({ length: width }, () => random() * 2 - 1));
const lossOf = (q: number[][], d: number[][], options: Parameters<typeof sampledSoftmaxLoss>[2] = {}) =>
  scope(() => sampledSoftmaxLoss(tensor(q), tensor(d), { similarity: "dot", scale: 1, ...options }).item());

describe("the loss", () => {
  const [q, d] = [matrix(6), matrix(6)];
  test("constant chances change nothing, and only their ratios count", () => {
    const plain = lossOf(q, d);
    expect(lossOf(q, d, { logChances: new Array(6).fill(Math.log(0.3)) })).toBeCloseTo(plain, 5);
    const chances = [0.1, 0.5, 0.2, 0.9, 0.3, 0.05];
    const corrected = lossOf(q, d, { logChances: chances.map(Math.log) });
    expect(corrected).not.toBeCloseTo(plain, 2);
    expect(lossOf(q, d, { logChances: chances.map((chance) => Math.log(chance / 7)) })).toBeCloseTo(corrected, 5);
  });
  test("of two pairs it is -log sigmoid of the difference, averaged", () => {
    const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);
    const term = (i: number) => Math.log(1 + Math.exp(dot(q[i], d[1 - i]) - dot(q[i], d[i])));
    expect(lossOf(q.slice(0, 2), d.slice(0, 2))).toBeCloseTo((term(0) + term(1)) / 2, 5);
  });
  test("the order of the batch does not matter", () => {
    const order = [3, 0, 5, 1, 4, 2];
    const moved = (rows: number[][]) => order.map((i) => rows[i]);
    expect(lossOf(moved(q), moved(d))).toBeCloseTo(lossOf(q, d), 5);
  });
  test("two equal passages cost at least log 2 each, unless one is masked", () => {
    const twins = [d[0], d[0]];
    const far = [
      [9, 9, 9, 9].map((x, i) => x * Math.sign(d[0][i])),
      [9, 9, 9, 9].map((x, i) => x * Math.sign(d[0][i])),
    ];
    expect(lossOf(far, twins)).toBeGreaterThanOrEqual(Math.log(2) - 1e-6);
    expect(lossOf(far, twins, { mask: () => true })).toBeCloseTo(0, 6);
  });
  test("the gradient in two passes, first of the vectors, then of what made them, is the direct one", () => {
    const weight = parameter(tensor(matrix(4, 4)));
    const inputs = [tensor(q), tensor(d)];
    scope(() => {
      const vectors = inputs.map((x) => linearOf(x, weight));
      const [direct] = grad([sampledSoftmaxLoss(vectors[0], vectors[1])], [weight]);
      const leaves = inputs.map((x) => linearOf(x, weight).detach().requireGrad());
      const ofVectors = grad([sampledSoftmaxLoss(leaves[0], leaves[1])], leaves);
      const parts = inputs.flatMap((x, side) =>
        [0, 3].map((start) => {
          const rows = [{ start, end: start + 3 }];
          const [part] = grad([linearOf(slice(x, rows), weight)], [weight], {
            gradients: [slice(ofVectors[side], rows)],
          });
          return part.toTypedArray();
        }),
      );
      direct.toTypedArray().forEach((value, i) => {
        expect(parts.reduce((sum, part) => sum + part[i], 0)).toBeCloseTo(value, 5);
      });
    });
  });
});

describe("the objective", () => {
  const vocabulary = { maskId: 4, clsId: 2, sepId: 3, vocabularySize: 5000, specialIds: new Set([0, 2, 3, 4]) };
  const frame = (options: object = {}) => {
    const config = uniformEncoder({ vocabularySize: 5000, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 40 });
    const model = createModel({ architecture: "Model", head: { type: "none" }, config });
    const parsed = parseObjective({ type: "ict-bfs-wlp", ...options });
    return {
      model,
      objective: createObjective(parsed, { model, vocabulary, maxLength: 40, batchTokens: 300, seed: 1 }),
    };
  };
  test("mixes its tasks; titles stand before passages, not before queries", () => {
    const { model, objective } = frame();
    const { queries, passages, pairs } = objective.draw!(
      articles,
      Int32Array.of(0, 1, 2, 3, 4),
      randomSource(4),
    ) as RetrievalBatch;
    expect(new Set(pairs.map(({ task }) => task)).size).toBe(3);
    pairs.forEach(({ to }, i) => {
      expect(passages.ids[passages.offsets[i] + 1]).toBe(5 + to);
      expect(queries.ids[queries.offsets[i] + 1]).toBeGreaterThanOrEqual(10);
    });
    expect(queries.ids.length + passages.ids.length).toBeGreaterThanOrEqual(300);
    model.dispose();
  });
  test("separate towers and a projection are trained beside the model", () => {
    const { model, objective } = frame({ towers: "separate", dimensions: 8 });
    const names = [...objective.parameters.keys()];
    expect(names.filter((name) => name.includes("projection"))).toHaveLength(2);
    expect(names.length).toBe(model.encoder.parameters.size + 2);
    objective.dispose();
    model.dispose();
  });
  test("a corpus without links has no pairs of them: a coded error", () => {
    const { model, objective } = frame({ ict: 0, bfs: 0 });
    const unlinked = memoryDocuments([
      { title: new Int32Array(0), sections: [[{ sentences: [Int32Array.of(9), Int32Array.of(8)] }]] },
    ]);
    expect(() => objective.draw!(unlinked, Int32Array.of(0), randomSource(1))).toThrow(/links/);
    model.dispose();
  });
});
