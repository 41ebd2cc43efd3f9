import { backward, createAdamW, crossEntropy, matmul, noGrad, scope, tensor, transpose } from "@cloze/tensor";
import { expect, test } from "vitest";
import { wordModel, wordTokenizer } from "../../../test/tiny-models.js";
import { packSequences } from "../../data/packed-batch.js";
import { createSparseEncoder } from "../../embedding/sparse-encoder/sparse-encoder.js";
import { createImpactIndex } from "../learned-sparse/impact-index.js";
import { createEpic } from "./epic.js";

const tokenizer = wordTokenizer("cat dog bird stone the", 50);
const model = (architecture: "Model" | "ForMaskedLM" = "ForMaskedLM") =>
  wordModel(tokenizer, { architecture, initializerRange: 0.3 });
const documents = ["cat stone", "bird dog dog the", "stone"];
const rows = (x: { toArray(): unknown }) => x.toArray() as number[][];
const a = (x: number) => Math.log1p(Math.log1p(Math.exp(x)));

test("EPIC: weights by hand, batches as one by one, the index as inner products", () => {
  const epic = createEpic(model(), tokenizer);
  const dense = noGrad(() => scope(() => rows(epic.weights(documents, "document"))));
  const asked = noGrad(() => scope(() => rows(epic.weights(["dog cat dog", "the"], "query"))));
  const dot = (name: string, state: readonly number[]) => {
    const weight = epic.parameters.get(`epic.${name}.weight`)?.toTypedArray() as Float32Array;
    return state.reduce((sum, x, i) => sum + x * weight[i], 0);
  };
  scope(() =>
    noGrad(() => {
      const batch = packSequences([{ ids: tokenizer.encodeIds(documents[1]) }]);
      const { hidden, logits } = epic.model.forward(batch);
      const [states, z] = [rows(hidden), rows(logits as NonNullable<typeof logits>)];
      const quality = 1 / (1 + Math.exp(-dot("quality", states[0])));
      for (let v = 0; v < tokenizer.vocabularySize; v++) {
        const best = Math.max(...states.map((state, t) => a(dot("document", state)) * a(z[t][v])));
        expect(dense[1][v]).toBeCloseTo(quality * best, 4);
      }
      const ids = tokenizer.encodeIds("dog cat dog");
      const read = rows(epic.model.encoder.forward(packSequences([{ ids }])).hidden);
      const [dog] = tokenizer.encodeIds("dog", { addSpecialTokens: false });
      const places = Array.from(ids.keys()).filter((i) => ids[i] === dog);
      expect(places).toHaveLength(2);
      expect(asked[0][dog]).toBeCloseTo(Math.max(...places.map((i) => a(dot("query", read[i])))), 5);
      expect(asked[0].filter((weight) => weight > 0)).toHaveLength(2);
    }),
  );
  const options = { role: "document", most: 1000 } as const;
  const index = createImpactIndex(epic.encode(documents, options));
  const alone = createImpactIndex(epic.encode(documents, { ...options, tokenBudget: 1 }));
  const queries = epic.encode(["dog cat dog", "the"], { role: "query" });
  for (const [q, query] of queries.entries()) {
    const found = index.scores(query);
    for (const [d, document] of dense.entries()) {
      const plain = document.reduce((sum, weight, v) => sum + weight * asked[q][v], 0);
      expect(found[d]).toBeCloseTo(plain, 4);
      expect(alone.scores(query)[d]).toBeCloseTo(plain, 4);
    }
  }
  expect(epic.encode(documents, { role: "document", most: 3 }).every(({ terms }) => terms.length === 3)).toBe(true);
  expect(() => createEpic(model("Model"), tokenizer)).toThrow(/masked-language/);
  epic.dispose();
});

test("EPIC learns through its scores", () => {
  const epic = createEpic(model(), tokenizer);
  const optimizer = createAdamW([{ name: "all", parameters: epic.parameters, learningRate: 5e-3 }]);
  // Each query's document has none of its words.
  const loss = () => {
    const scores = matmul(
      epic.weights(["cat", "dog"], "query"),
      transpose(epic.weights(["stone", "bird"], "document")),
    );
    return crossEntropy(scores, tensor(Int32Array.of(1, 0)));
  };
  const before = scope(() => noGrad(() => loss().item()));
  for (let step = 0; step < 30; step++) {
    scope(() => backward(loss()));
    optimizer.step();
    optimizer.zeroGrad();
  }
  expect(scope(() => noGrad(() => loss().item()))).toBeLessThan(before / 2);
  optimizer.dispose();
  epic.dispose();
});

test("TILDEv2 is uniCOIL of which no model reads queries: the index scores as the inner product", () => {
  const encoder = createSparseEncoder(model("Model"), tokenizer, { weighting: "unicoil", encodeQueries: false });
  const index = createImpactIndex(encoder.encode(documents));
  const [query] = encoder.encode(["dog stone"], { role: "query" });
  expect([...query.weights]).toEqual([1, 1]);
  const dense = noGrad(() => scope(() => rows(encoder.embedBatch(encoder.packTokens(encoder.tokenize(documents))))));
  for (const [d, score] of index.scores(query).entries())
    expect(score).toBeCloseTo(
      query.terms.reduce((sum, term) => sum + dense[d][term], 0),
      5,
    );
  encoder.dispose();
});
