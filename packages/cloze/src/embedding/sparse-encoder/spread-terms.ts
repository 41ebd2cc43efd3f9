// How many terms a SPLADE begins with: a masked language model does not say, and training cannot begin with all of them.
import { add, copyInto, noGrad, scope } from "@cloze/tensor";
import type { SparseEncoder } from "./sparse-encoder.js";

export interface SpreadTermsOptions {
  /** Terms that a text is to have at first, on average and at most. Default 256. */
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
        return model.head.peaks(model.encoder.forward(batch).hidden, batch).toTypedArray() as Float32Array;
      }),
    ),
  );
}

/**
 * Moves the bias of a masked-language head by one number, so that texts have fewer terms above 0. What the head predicts for a
 * mask stays the same: it knows logits up to a constant alone, and that constant decides how many terms a SPLADE begins with.
 * One that begins with a tenth of the vocabulary or more has scores in the hundreds, and learns little else than to leave terms
 * out.
 *
 * @returns what it did; undefined where there is nothing to do: fewer terms already, no bias, another weighting, no texts
 * @example
 * const encoder = createSparseEncoder(loadModel("mlm"), tokenizer);
 * spreadTerms(encoder, documents); // { before: 22100, after: 256 }
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
    found.reduce((total, own) => total + own.reduce((sum, value) => sum + Number(value > least), 0), 0) / found.length;
  const before = above(0);
  if (before <= terms) return undefined;
  // Among the peaks of all texts: more than so many are above 0, and so is what bounds them. Between two, lest rounding count one.
  const sorted = Float32Array.from(found.flatMap((own) => Array.from(own))).sort();
  const place = sorted.length - 1 - Math.floor(terms * found.length);
  const limit = (sorted[place] + (sorted[place + 1] ?? sorted[place])) / 2;
  scope(() => noGrad(() => copyInto(bias, add(bias, -limit))));
  return { before, after: above(limit) };
}
