import type { Tensor } from "@cloze/tensor";
import fc from "fast-check";
import { expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel } from "../../families/index.js";
import { trainWordPiece } from "../../text/index.js";
import { createImpactIndex, type SparseVector } from "./impact-index.js";
import { spladeVectors } from "./splade.js";

const vector = fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 6 }).map(
  (terms): SparseVector => ({
    terms: Uint32Array.from(terms),
    weights: Float32Array.from(terms, (term) => 1 + (term % 3) / 2),
  }),
);

test("the inverted index gives the inner products of the dense vectors", () => {
  const dense = ({ terms, weights }: SparseVector) => {
    const values = new Array<number>(10).fill(0);
    terms.forEach((term, i) => {
      values[term] = weights[i];
    });
    return values;
  };
  fc.assert(
    fc.property(fc.array(vector, { maxLength: 8 }), vector, (documents, query) => {
      const index = createImpactIndex(documents);
      const plain = documents.map((document) =>
        dense(document).reduce((sum, value, term) => sum + value * dense(query)[term], 0),
      );
      expect([...index.scores(query)]).toEqual(plain);
      expect(index.search(query, 3).map(({ score }) => score)).toEqual(
        plain
          .filter((score) => score > 0)
          .sort((a, b) => b - a)
          .slice(0, 3),
      );
    }),
  );
  const broken = { terms: Uint32Array.of(1), weights: Float32Array.of(Number.NaN) };
  expect(() => createImpactIndex([broken])).toThrow(/not finite/);
});

test("SPLADE by its formula, in batches or one by one", () => {
  const tokenizer = trainWordPiece(["cat dog bird stone", "cat dog bird stone"], {
    vocabularySize: 40,
    minFrequency: 1,
  });
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize: 16,
    layers: 1,
    heads: 2,
    maxPositions: 16,
  });
  const model = createModel({ architecture: "ForMaskedLM", config, seed: 2 });
  // Weights as they are drawn make logits near 0.
  const table = model.parameters.get("encoder.embeddings.word.weight");
  table?.storage.backend.write(
    Float32Array.from(table.toTypedArray(), (value) => 50 * value),
    table.pointer,
  );
  const texts = ["cat", "dog bird stone", "stone cat bird dog"];
  for (const pooling of ["max", "sum"] as const) {
    const together = spladeVectors(model, tokenizer, texts, { pooling });
    for (const [i, text] of texts.entries()) {
      const logits = model.forward(packSequences([{ ids: tokenizer.encodeIds(text) }])).logits as Tensor;
      const [rows, width] = logits.shape;
      const data = logits.toTypedArray() as Float32Array;
      const plain = Array.from({ length: width }, (_, term) => {
        const logs = Array.from({ length: rows }, (_, row) => Math.log1p(Math.max(0, data[row * width + term])));
        return pooling === "max" ? Math.max(...logs) : logs.reduce((sum, one) => sum + one, 0);
      });
      const { terms, weights } = together[i];
      expect([...terms]).toEqual(plain.flatMap((value, term) => (value > 0 ? [term] : [])));
      terms.forEach((term, place) => {
        expect(weights[place]).toBeCloseTo(plain[term], 3);
      });
      const alone = spladeVectors(model, tokenizer, [text], { pooling, tokenBudget: 1 })[0];
      expect([...alone.terms]).toEqual([...terms]);
      const [few] = spladeVectors(model, tokenizer, [text], { pooling, most: 3 });
      expect(few.terms.length).toBe(Math.min(3, terms.length));
      expect(Math.max(...few.weights)).toBeCloseTo(Math.max(...weights), 5);
    }
  }
  const plain = createModel({ architecture: "Model", config });
  expect(() => spladeVectors(plain, tokenizer, texts)).toThrow(/masked-language/);
});
