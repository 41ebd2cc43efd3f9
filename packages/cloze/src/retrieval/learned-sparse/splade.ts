// SPLADE (Formal 2021): a masked-language head says which words of the vocabulary a text is about, also those that it does
// not use. w_j = max over tokens of log(1 + ReLU(logit_j)); v1 sums instead.
import { noGrad, scope, segmentSum, type Tensor, tensor } from "@cloze/tensor";
import { groupByTokenBudget, packSequences } from "../../data/packed-batch.js";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import type { SparseVector } from "./impact-index.js";

export interface SpladeOptions {
  /** "max" (default, SPLADE v2) or "sum" (v1). */
  pooling?: "max" | "sum";
  /** Tokens of a text at most; 256 unless told. */
  maxLength?: number;
  /** Terms of a vector at most, the heaviest; all unless told. */
  most?: number;
  /** Tokens per forward pass. Default 512; where "sum" pools, each makes a row as wide as the vocabulary. */
  tokenBudget?: number;
}

/** Sparse vectors come of a masked-language head. @throws SPLADE_HEAD */
export function checkSpladeHead(model: Model): void {
  if (model.head.config.type === "masked-language") return;
  throw new ClozeError("SPLADE_HEAD", "Sparse vectors come from a masked-language head", {
    expected: "a model ForMaskedLM",
    received: model.architecture,
    remedy: "Load a masked language model, or one that was trained as SPLADE.",
  });
}

/** Numbers above 0, the heaviest if there are too many, terms ascending. */
export function sparseVector(values: Float32Array, most: number): SparseVector {
  let terms: number[] = [];
  // A loop: values are as many as the vocabulary has entries.
  for (let term = 0; term < values.length; term++) if (values[term] > 0) terms.push(term);
  if (terms.length > most)
    terms = terms
      .sort((a, b) => values[b] - values[a])
      .slice(0, most)
      .sort((a, b) => a - b);
  return { terms: Uint32Array.from(terms), weights: Float32Array.from(terms, (term) => values[term]) };
}

/**
 * Sparse vectors of texts.
 *
 * @param model a model with a masked-language head
 * @throws SPLADE_HEAD
 * @example
 * const index = createImpactIndex(spladeVectors(model, tokenizer, documents));
 * const [best] = index.search(spladeVectors(model, tokenizer, ["what is a stoat"])[0], 10);
 */
export function spladeVectors(
  model: Model,
  tokenizer: Tokenizer,
  texts: readonly string[],
  options: SpladeOptions = {},
): SparseVector[] {
  const { pooling = "max", maxLength = 256, most = Number.POSITIVE_INFINITY, tokenBudget = 512 } = options;
  checkSpladeHead(model);
  const sequences = texts.map((text) => tokenizer.encodeIds(text, { truncation: { maxLength } }));
  const vectors: SparseVector[] = new Array(texts.length);
  for (const group of groupByTokenBudget(
    sequences.map(({ length }) => length),
    tokenBudget,
  )) {
    const pooled = noGrad(() =>
      scope(() => {
        const batch = packSequences(group.map((i) => ({ ids: sequences[i] })));
        const { hidden } = model.encoder.forward(batch);
        // log(1 + ReLU) grows with its argument: the largest of it is that of the largest logit.
        if (pooling === "max") return model.head.peaks(hidden, batch).toTypedArray() as Float32Array;
        const logits = model.head.forward(hidden, batch).logits as Tensor;
        const data = Float32Array.from(logits.toTypedArray(), (logit) => Math.log1p(Math.max(0, logit)));
        return segmentSum(tensor(data, logits.shape), tensor(batch.offsets)).toTypedArray() as Float32Array;
      }),
    );
    const width = pooled.length / group.length;
    group.forEach((text, row) => {
      const values = pooled.slice(row * width, (row + 1) * width);
      if (pooling === "max")
        for (let term = 0; term < width; term++) values[term] = Math.log1p(Math.max(0, values[term]));
      vectors[text] = sparseVector(values, most);
    });
  }
  return vectors;
}
