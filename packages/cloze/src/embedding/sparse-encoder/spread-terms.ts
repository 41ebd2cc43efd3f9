// How many terms a SPLADE begins with: a masked language model does not say, and training cannot begin with all of them.
import { add, copyInto, noGrad, scope, segmentMax, type Tensor, tensor } from "@cloze/tensor";
import type { SparseEncoder } from "./sparse-encoder.js";

export interface SpreadTermsOptions {
  /** Terms that a text is to have at first. Default 256. */
  terms?: number;
  /** Texts that are read, the first ones. Default 32. */
  most?: number;
}

export interface SpreadTerms {
  /** Terms of a text before and after, on average. */
  readonly before: number;
  readonly after: number;
}

/** The largest logit of each term, for each text. */
function peaks({ model, tokenize, packTokens }: SparseEncoder, texts: readonly string[]): Float32Array[] {
  return texts.map((text) =>
    scope(() =>
      noGrad(() => {
        const batch = packTokens(tokenize([text], { role: "document" }), { role: "document" });
        const { logits } = model.forward(batch);
        return (segmentMax(logits as Tensor, tensor(batch.offsets)).toTypedArray() as Float32Array).slice();
      }),
    ),
  );
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Moves the bias of a masked-language head by one number, so that texts have fewer terms above 0. What the head predicts for a
 * mask stays the same: it knows logits up to a constant alone, and that constant decides how many terms a SPLADE begins with.
 * One that begins with a tenth of the vocabulary or more has scores in the hundreds, and learns little else than to leave terms
 * out.
 *
 * @returns what it did; undefined where there is nothing to do: fewer terms already, no bias, another weighting, no texts
 * @example
 * const encoder = createSparseEncoder(loadModel("mlm"), tokenizer);
 * spreadTerms(encoder, documents); // { before: 22100, after: 260 }
 * await trainEmbedder(encoder, pairs, { loss: "splade", steps: 200 });
 */
export function spreadTerms(
  encoder: SparseEncoder,
  texts: readonly string[],
  { terms = 256, most = 32 }: SpreadTermsOptions = {},
): SpreadTerms | undefined {
  const bias = encoder.model.head.parameters.get("decoder.bias");
  if (encoder.weighting.type !== "splade" || bias === undefined || texts.length === 0) return undefined;
  const found = peaks(encoder, texts.slice(0, most));
  const above = (least: number) =>
    meanOf(found.map((own) => own.reduce((sum, value) => sum + Number(value > least), 0)));
  const before = above(0);
  if (before <= terms) return undefined;
  const limit = meanOf(found.map((own) => own.slice().sort()[Math.max(0, own.length - 1 - terms)]));
  scope(() => noGrad(() => copyInto(bias, add(bias, -limit))));
  return { before, after: above(limit) };
}
