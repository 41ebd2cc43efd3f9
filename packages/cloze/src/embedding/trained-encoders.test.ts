// Encoders of weighted terms and of tokens: what they compute, that they learn, and that folders give them back.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  add,
  backward,
  copyInto,
  log,
  mul,
  noGrad,
  relu,
  scope,
  segmentMax,
  sum,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { createLateInteractionIndex } from "../retrieval/late-interaction/late-interaction-index.js";
import { maxSim } from "../retrieval/late-interaction/late-search.js";
import { maxSimMatrix } from "../retrieval/late-interaction/max-sim.js";
import { createImpactIndex, type SparseVector } from "../retrieval/learned-sparse/impact-index.js";
import { quantizeWeights } from "../retrieval/learned-sparse/quantize-weights.js";
import { spladeVectors } from "../retrieval/learned-sparse/splade.js";
import { trainWordPiece } from "../text/index.js";
import { createLoss } from "./losses/index.js";
import { flops } from "./losses/splade.js";
import type { EmbedderModule } from "./modules/index.js";
import { loadEmbedder } from "./sentence-transformers.js";
import { createSparseEncoder, type SparseEncoder } from "./sparse-encoder/sparse-encoder.js";
import { isSparseEncoderFolder, loadSparseEncoder, saveSparseEncoder } from "./sparse-encoder/sparse-encoder-folder.js";
import { spreadTerms } from "./sparse-encoder/spread-terms.js";
import { createTokenEncoder } from "./token-encoder/token-encoder.js";
import { isTokenEncoderFolder, loadTokenEncoder, saveTokenEncoder } from "./token-encoder/token-encoder-folder.js";
import { trainEmbedder } from "./train-embedder.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-encoders-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const words = ["cat", "dog", "bird", "stone", "kitten", "puppy", "sparrow", "rock", "the", "a", ".", ","];
const tokenizer = trainWordPiece([words.join(" "), words.join(" ")], { vocabularySize: 120, minFrequency: 1 });
const pairs = [
  ["cat", "kitten"],
  ["dog", "puppy"],
  ["bird", "sparrow"],
  ["stone", "rock"],
].map(([query, document]) => ({ query: `the ${query}`, document: `a ${document}.` }));
const documents = pairs.map(({ document }) => document);
const model = (architecture: "Model" | "ForMaskedLM", seed = 3) =>
  createModel({
    architecture,
    seed,
    config: uniformEncoder({
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: 32,
      layers: 1,
      heads: 2,
      maxPositions: 24,
      dropout: 0,
      initializerRange: 0.2,
    }),
  });
const dot = (a: SparseVector, b: SparseVector) => {
  const weights = new Map(Array.from(b.terms, (term, i) => [term, b.weights[i]]));
  return a.terms.reduce((sum, term, i) => sum + a.weights[i] * (weights.get(term) ?? 0), 0);
};
const training = { steps: 60, batchSize: 4, learningRate: 5e-3, seed: 1 };

describe("weighted terms", () => {
  test("SPLADE: vectors are those of spladeVectors, whether in batches or one by one", () => {
    const encoder = createSparseEncoder(model("ForMaskedLM"), tokenizer);
    const together = encoder.encode(documents);
    const known = spladeVectors(encoder.model, tokenizer, documents);
    for (const [i, { terms, weights }] of together.entries()) {
      expect([...terms]).toEqual([...known[i].terms]);
      expect(weights.every((weight) => weight > 0)).toBe(true);
      weights.forEach((weight, place) => {
        expect(weight).toBeCloseTo(known[i].weights[place], 4);
      });
      expect([...encoder.encode([documents[i]], { tokenBudget: 1 })[0].terms]).toEqual([...terms]);
    }
    const sums = createSparseEncoder(encoder.model, tokenizer, { pooling: "sum" }).encode(documents);
    for (const [i, one] of sums.entries())
      one.weights.forEach((weight, place) => {
        expect(weight).toBeCloseTo(
          spladeVectors(encoder.model, tokenizer, documents, { pooling: "sum" })[i].weights[place],
          3,
        );
      });
    encoder.dispose();
  });

  test("SPLADE: weights without the logits of all tokens equal those with, and so do their gradients", () => {
    const encoder = createSparseEncoder(model("ForMaskedLM"), tokenizer);
    const batch = encoder.packTokens(encoder.tokenize([...documents, "the cat . a dog , stone"]));
    const results = (weigh: () => Tensor) =>
      scope(() => {
        const weights = weigh();
        backward(sum(mul(weights, weights)));
        const gradients = [...encoder.model.parameters.values()].flatMap(({ grad }) =>
          grad ? [...grad.toTypedArray()] : [],
        );
        for (const parameter of encoder.model.parameters.values()) parameter.grad?.dispose();
        for (const parameter of encoder.model.parameters.values()) parameter.grad = undefined;
        return { weights: [...weights.toTypedArray()], gradients };
      });
    const fast = results(() => encoder.embedBatch(batch));
    const plain = results(() => {
      const logits = encoder.model.forward(batch).logits as Tensor;
      return segmentMax(log(add(relu(logits), 1)), tensor(batch.offsets));
    });
    expect(fast.weights.some((weight) => weight > 0)).toBe(true);
    expect(fast.gradients.some((value) => value !== 0)).toBe(true);
    for (const which of ["weights", "gradients"] as const) {
      expect(fast[which]).toHaveLength(plain[which].length);
      expect(Math.max(...fast[which].map((value, i) => Math.abs(value - plain[which][i])))).toBeLessThan(1e-4);
    }
    // Vectors follow the weights, though the encoder runs as a plan.
    const first = encoder.encode(documents);
    for (const [name, value] of encoder.model.encoder.parameters)
      if (name.endsWith("weight")) scope(() => noGrad(() => copyInto(value, mul(value, 1.5))));
    const again = encoder.encode(documents);
    expect(again).not.toEqual(first);
    const known = spladeVectors(encoder.model, tokenizer, documents);
    again.forEach(({ terms }, i) => {
      expect([...terms]).toEqual([...known[i].terms]);
    });
    encoder.dispose();
  });

  test("training finds words that a query does not use; FLOPS keeps vectors sparse; folders give both back", async () => {
    const [free, kept] = [0, 0.3].map(() => createSparseEncoder(model("ForMaskedLM"), tokenizer));
    const base = { type: "multiple-negatives", similarity: "dot", scale: 1 };
    await trainEmbedder(free, pairs, {
      ...training,
      loss: { type: "splade", base, queryWeight: 0, documentWeight: 0 },
    });
    await trainEmbedder(kept, pairs, {
      ...training,
      loss: { type: "splade", base, queryWeight: 0.3, documentWeight: 0.3 },
    });
    const terms = (one: typeof free) => one.encode(documents).reduce((sum, vector) => sum + vector.terms.length, 0);
    expect(terms(kept)).toBeLessThan(0.8 * terms(free));
    for (const encoder of [free, kept]) {
      const index = createImpactIndex(encoder.encode(documents));
      for (const [i, query] of encoder
        .encode(
          pairs.map((pair) => pair.query),
          { role: "query" },
        )
        .entries()) {
        const [best] = index.search(query, 1);
        expect(best.index).toBe(i);
        expect(best.score).toBeCloseTo(dot(query, encoder.encode(documents)[i]), 3);
      }
    }
    saveSparseEncoder(kept, join(folder, "splade"));
    expect(isSparseEncoderFolder(join(folder, "splade"))).toBe(true);
    const loaded = loadSparseEncoder(join(folder, "splade"));
    expect(loaded.encode(documents)).toEqual(kept.encode(documents));
    const short = loadSparseEncoder(join(folder, "splade"), { maxLength: 3 });
    expect(short.settings.maxLength).toBe(3);
    expect(short.encode(["a kitten"])).toEqual(short.encode(["a puppy"]));
    for (const one of [free, kept, loaded, short]) one.dispose();
  });

  test("a masked language model begins with as many terms as are asked for, and fills masks as before", () => {
    const encoder = createSparseEncoder(model("ForMaskedLM"), tokenizer);
    const counts = () => encoder.encode(documents).map(({ terms }) => terms.length);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const batch = encoder.packTokens(encoder.tokenize(documents));
    const logits = () => encoder.model.forward(batch).logits?.toArray() as number[][];
    const [before, first] = [mean(counts()), logits()];
    const done = spreadTerms(encoder, documents, { terms: 6 });
    expect(done?.before).toBeCloseTo(before, 5);
    expect(done?.after).toBeCloseTo(mean(counts()), 5);
    expect(mean(counts())).toBeGreaterThan(3);
    expect(mean(counts())).toBeLessThan(9);
    const moved = logits().map((row, token) => row.map((value, term) => value - first[token][term]));
    for (const row of moved) for (const value of row) expect(value).toBeCloseTo(moved[0][0], 4);
    expect(spreadTerms(encoder, documents, { terms: 60 })).toBeUndefined();
    expect(spreadTerms(encoder, [])).toBeUndefined();
    encoder.dispose();
  });

  test("texts that have few terms do not make those of others more", () => {
    // The mean of each text's own limit would be below 0 here, and the bias would rise.
    const peaks = [
      [1, 2, 3, 4],
      [-9, -8, -7, -6],
    ];
    const encoder = createSparseEncoder(model("ForMaskedLM"), tokenizer);
    const bias = tensor([0, 0, 0, 0]);
    const fake: SparseEncoder = {
      ...encoder,
      tokenize: ([text]) => [Int32Array.of(Number(text))],
      model: {
        ...encoder.model,
        head: {
          ...encoder.model.head,
          parameters: new Map([["decoder.bias", bias]]),
          peaks: (_, { ids }) => add(tensor([peaks[ids[0]]]), bias),
        },
      },
    };
    expect(spreadTerms(fake, ["0", "1"], { terms: 1 })).toEqual({ before: 2, after: 1 });
    expect(bias.toArray()).toEqual([-2.5, -2.5, -2.5, -2.5]);
    expect(spreadTerms(fake, ["0", "1"], { terms: 1 })).toBeUndefined();
    encoder.dispose();
  });

  test("SPLADE-doc reads no queries; the loss's gradients in chunks are those at once", async () => {
    const encoders = [4, 1].map(() => createSparseEncoder(model("ForMaskedLM"), tokenizer, { encodeQueries: false }));
    for (const [i, encoder] of encoders.entries())
      await trainEmbedder(encoder, pairs, { ...training, steps: 3, loss: "splade", chunkSize: [8, 1][i] });
    const [whole, parts] = encoders.map((one) => one.encode(documents));
    for (const [i, { weights }] of whole.entries())
      weights.forEach((weight, place) => {
        expect(weight).toBeCloseTo(parts[i].weights[place], 3);
      });
    const [query] = encoders[0].encode(["the cat the cat"], { role: "query" });
    expect([...query.weights]).toEqual([1, 1]);
    expect(new Set(query.terms)).toEqual(new Set(tokenizer.encodeIds("cat the", { addSpecialTokens: false })));
    for (const one of encoders) one.dispose();
  });

  test("FLOPS is the square of the batch's mean: of one document the sum of w^2", () => {
    const weights = fc.array(fc.float({ min: 0, max: 4, noNaN: true }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(weights, { minLength: 1, maxLength: 4 }), (rows) => {
        const means = [0, 1, 2].map((term) => rows.reduce((sum, row) => sum + row[term], 0) / rows.length);
        expect(flops(tensor(rows)).item()).toBeCloseTo(
          means.reduce((sum, mean) => sum + mean ** 2, 0),
          3,
        );
      }),
    );
    expect(flops(tensor([[1, 2, 0]])).item()).toBe(5);
  });

  test("FLOPS counts more with the steps: with their square, until the warm-up is over", () => {
    const loss = createLoss(
      { type: "splade", base: "cosine", queryWeight: 1, documentWeight: 0, warmupSteps: 4 },
      { width: 2, layers: 1, seed: 1 },
    );
    const at = (step: number) =>
      loss
        .forward({
          columns: [tensor([[1, 2]]), tensor([[1, 2]])],
          labels: Float32Array.of(1),
          labelWidth: 1,
          seed: 1,
          step,
        })
        .item();
    expect([0, 1, 3, 9].map((step) => Math.round(1e4 * at(step)) / 1e4)).toEqual([5 / 16, 5 / 4, 5, 5]);
  });

  test("uniCOIL: the largest weight of a token, none for special ones; with weights 1 the shared distinct terms", async () => {
    const encoder = createSparseEncoder(model("Model"), tokenizer, { weighting: "unicoil", seed: 5 });
    const projection = encoder.settings.projection as EmbedderModule;
    const [weight, bias] = ["linear.weight", "linear.bias"].map((name) => projection.parameters.get(name) as Tensor);
    const set = (x: Tensor, values: Float32Array) => x.storage.backend.write(values, x.pointer);
    const trained = weight.toTypedArray() as Float32Array;
    set(bias, Float32Array.of(2));
    const text = "cat cat dog";
    const ids = tokenizer.encodeIds(text);
    const batch = encoder.packTokens([ids]);
    const { hidden } = encoder.model.encoder.forward(batch);
    const plain = Array.from(ids, (_, i) => Math.max(0, (projection.forward(hidden).toArray() as number[][])[i][0]));
    const [vector] = encoder.encode([text]);
    for (const term of new Set(ids)) {
      const wanted = tokenizer.specialIds.has(term) ? undefined : Math.max(...plain.filter((_, i) => ids[i] === term));
      const place = vector.terms.indexOf(term);
      if (wanted === undefined) expect(place).toBe(-1);
      else expect(vector.weights[place]).toBeCloseTo(wanted, 4);
    }
    // Weights 1: w = 0, b = 1.
    set(weight, new Float32Array(trained.length));
    set(bias, Float32Array.of(1));
    const [a, b] = encoder.encode(["the cat the dog", "dog dog the bird"]);
    expect(dot(a, b)).toBe(2);
    set(weight, trained);
    await trainEmbedder(
      encoder,
      pairs.map(({ document }) => ({ query: document, document })),
      { ...training, steps: 5, loss: "splade" },
    );
    saveSparseEncoder(encoder, join(folder, "unicoil"));
    const loaded = loadSparseEncoder(join(folder, "unicoil"));
    expect(loaded.weighting.type).toBe("unicoil");
    expect(loaded.encode(documents)).toEqual(encoder.encode(documents));
    for (const one of [encoder, loaded]) one.dispose();
    const codes = quantizeWeights({ terms: Uint32Array.of(1, 2, 3), weights: Float32Array.of(0.001, 2.5, 9) });
    expect([[...codes.terms], [...codes.weights]]).toEqual([
      [2, 3],
      [128, 255],
    ]);
  });
});

describe("vectors of tokens", () => {
  test("queries are filled with [MASK]; documents lose punctuation; s(q, q) is the number of vectors", () => {
    const encoder = createTokenEncoder(model("Model"), tokenizer, { width: 8, queryLength: 10, documentLength: 16 });
    const [query] = encoder.encode(["the cat"], { role: "query" });
    expect(query).toHaveLength(10 * 8);
    expect(maxSim(query, query, 8)).toBeCloseTo(10, 4);
    const [document, plain] = encoder.encode(["a kitten.", "a kitten"]);
    expect(document).toHaveLength(plain.length);
    const [alone] = encoder.encode(["a kitten."], { tokenBudget: 1 });
    alone.forEach((value, i) => {
      expect(value).toBeCloseTo(document[i], 4);
    });
    // One vector a side: the cosine.
    const [u, v] = [query.subarray(0, 8), document.subarray(0, 8)];
    expect(maxSim(u, v, 8)).toBeCloseTo(
      u.reduce((sum, value, i) => sum + value * v[i], 0),
      6,
    );
    const shut = createTokenEncoder(encoder.model, tokenizer, {
      projection: encoder.settings.projection,
      queryLength: 10,
      attendToExpansion: false,
    });
    // Tokens of the text do not see [MASK]: their vectors are those without any.
    const bare = createTokenEncoder(encoder.model, tokenizer, {
      projection: encoder.settings.projection,
      queryLength: 10,
      expandQueries: false,
    });
    const [closed] = shut.encode(["the cat"], { role: "query" });
    const [short] = bare.encode(["the cat"], { role: "query" });
    expect(short.length).toBeLessThan(closed.length);
    short.forEach((value, i) => {
      expect(closed[i]).toBeCloseTo(value, 4);
    });
    expect(Math.abs(query[0] - short[0])).toBeGreaterThan(1e-5);
    encoder.dispose();
  });

  test("the scores of the loss are MaxSim; masked rows see their own documents alone", () => {
    const values = (count: number, seed: number) =>
      Array.from({ length: count }, (_, i) => [Math.sin(seed + 3 * i), Math.cos(2 * seed + i)]);
    const [q, p, n] = [values(3, 1), values(5, 2), values(4, 3)];
    const [qo, po, no] = [Int32Array.of(0, 2, 3), Int32Array.of(0, 1, 5), Int32Array.of(0, 3, 4)];
    const flat = (rows: number[][], offsets: Int32Array, i: number) =>
      Float32Array.from(rows.slice(offsets[i], offsets[i + 1]).flat());
    const scores = maxSimMatrix(tensor(q), qo, tensor(p), po).toArray() as number[][];
    const wrong = maxSimMatrix(tensor(q), qo, tensor(n), no).toArray() as number[][];
    for (const i of [0, 1])
      for (const j of [0, 1]) expect(scores[i][j]).toBeCloseTo(maxSim(flat(q, qo, i), flat(p, po, j), 2), 5);
    const run = (inBatch: boolean) =>
      createLoss({ type: "colbert", inBatch }, { width: 2, layers: 1, seed: 1 })
        .forward({ columns: [tensor(q), tensor(p), tensor(n)], offsets: [qo, po, no], seed: 1 })
        .item();
    const cost = (right: number, others: number[]) =>
      Math.log([right, ...others].reduce((sum, score) => sum + Math.exp(score), 0)) - right;
    expect(run(true)).toBeCloseTo(
      (cost(scores[0][0], [scores[0][1], ...wrong[0]]) + cost(scores[1][1], [scores[1][0], ...wrong[1]])) / 2,
      5,
    );
    expect(run(false)).toBeCloseTo((cost(scores[0][0], [wrong[0][0]]) + cost(scores[1][1], [wrong[1][1]])) / 2, 5);
  });

  test("training brings pairs together; a folder gives the encoder back, and is no plain embedder", async () => {
    const encoder = createTokenEncoder(model("Model"), tokenizer, { width: 8, queryLength: 6, documentLength: 12 });
    const rows = pairs.map((pair, i) => ({ ...pair, negatives: [documents[(i + 1) % 4]] }));
    await trainEmbedder(encoder, rows, { ...training, loss: { type: "colbert", scale: 2 } });
    const index = createLateInteractionIndex(encoder.encode(documents), 8, { bits: 8 });
    for (const [i, query] of encoder
      .encode(
        pairs.map((pair) => pair.query),
        { role: "query" },
      )
      .entries())
      expect(index.search(query, 1)[0].index).toBe(i);
    saveTokenEncoder(encoder, join(folder, "colbert"));
    expect(isTokenEncoderFolder(join(folder, "colbert"))).toBe(true);
    const loaded = loadTokenEncoder(join(folder, "colbert"));
    expect(loaded.encode(documents)).toEqual(encoder.encode(documents));
    expect(loaded.encode(["the cat"], { role: "query" })).toEqual(encoder.encode(["the cat"], { role: "query" }));
    expect(() => loadEmbedder(join(folder, "colbert"))).toThrow(/MaxSim|compares/);
    await expect(trainEmbedder(encoder, pairs, { ...training, loss: "multiple-negatives" })).rejects.toThrow(
      /not for this kind/,
    );
    const sparse = createSparseEncoder(model("ForMaskedLM"), tokenizer);
    await expect(trainEmbedder(sparse, pairs, { ...training, loss: "colbert" })).rejects.toThrow(/not for this kind/);
    for (const one of [encoder, loaded, sparse]) one.dispose();
  });
});
