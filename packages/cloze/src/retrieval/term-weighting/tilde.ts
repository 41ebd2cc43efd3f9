// TILDE (Zhuang and Zuccon 2021): the masked-language head over a text's first state says how likely each token of the vocabulary
// is in what belongs to the text. Documents are read once; a query is its tokens.
import { binaryCrossEntropy, div, noGrad, scope, type Tensor, tensor } from "@cloze/tensor";
import { groupByTokenBudget, packSequences } from "../../data/packed-batch.js";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";

export interface TildeOptions {
  /** Tokens of a text at most; 192 unless told. */
  maxLength?: number;
  /** Tokens per forward pass. Default 8192. */
  tokenBudget?: number;
  /** An id in the place of the first token, which tells queries from documents. Default: the token stays. */
  marker?: number;
}

/** A text as TILDE knows it. */
export interface TildeText {
  /** Its tokens, without special ones. */
  readonly ids: Int32Array;
  /** log10 of how likely each token of the vocabulary is: [vocabulary] */
  readonly likelihoods: Float32Array;
}

/** The tokens of a text, without special ones. */
export const tildeTokens = (tokenizer: Tokenizer, text: string): Int32Array =>
  Int32Array.from(tokenizer.encodeIds(text, { addSpecialTokens: false, truncation: false }));

/**
 * Logits over the vocabulary from the first state of each text, with gradients where recorded: [texts, vocabulary]
 *
 * @throws TILDE_HEAD for a model without a masked-language head
 */
export function tildeLogits(
  model: Model,
  tokenizer: Tokenizer,
  texts: readonly string[],
  { maxLength = 192, marker, training = false, seed = 0 }: TildeOptions & { training?: boolean; seed?: number } = {},
): Tensor {
  if (model.head.config.type !== "masked-language") {
    throw new ClozeError("TILDE_HEAD", "Likelihoods of tokens come from a masked-language head", {
      expected: "a model ForMaskedLM",
      received: model.architecture,
    });
  }
  const sequences = texts.map((text) => {
    const ids = Int32Array.from(tokenizer.encodeIds(text, { truncation: { maxLength } }));
    if (marker !== undefined) ids[0] = marker;
    return { ids };
  });
  const batch = packSequences(sequences);
  return model.forward(batch, { training, seed, rows: batch.offsets.slice(0, -1) }).logits as Tensor;
}

/** log10(sigmoid(x)), exact also far below 0. */
const logSigmoid10 = (x: number): number => (Math.min(0, x) - Math.log1p(Math.exp(-Math.abs(x)))) / Math.LN10;

/** Reads texts. @throws TILDE_HEAD */
export function tildeTexts(
  model: Model,
  tokenizer: Tokenizer,
  texts: readonly string[],
  options: TildeOptions = {},
): TildeText[] {
  const { maxLength = 192, tokenBudget = 8192 } = options;
  const read: TildeText[] = new Array(texts.length);
  const ids = texts.map((text) => tildeTokens(tokenizer, text));
  const lengths = ids.map(({ length }) => Math.min(maxLength, length + 2));
  for (const group of groupByTokenBudget(lengths, tokenBudget)) {
    const chosen = group.map((i) => texts[i]);
    const logits = noGrad(() =>
      scope(() => tildeLogits(model, tokenizer, chosen, options).toTypedArray() as Float32Array),
    );
    const width = logits.length / group.length;
    group.forEach((text, row) => {
      const likelihoods = logits.slice(row * width, (row + 1) * width).map(logSigmoid10);
      read[text] = { ids: ids[text], likelihoods };
    });
  }
  return read;
}

const total = (ids: Int32Array, likelihoods: Float32Array): number => {
  let sum = 0;
  for (const id of ids) sum += likelihoods[id];
  return sum;
};

/**
 * alpha x (sum over the query's tokens by the document) + (1 - alpha) x (mean over the document's tokens by the query).
 *
 * @param query its tokens (`tildeTokens`) are enough where alpha is 1: no model reads it
 * @throws TILDE_QUERY where alpha is below 1 and the query was not read
 */
export function tildeScore(query: Int32Array | TildeText, document: TildeText, alpha = 1): number {
  const ids = "likelihoods" in query ? query.ids : query;
  const byDocument = total(ids, document.likelihoods);
  if (alpha === 1) return byDocument;
  if (!("likelihoods" in query)) {
    throw new ClozeError("TILDE_QUERY", "The likelihood of a document needs a query that the model has read", {
      expected: "what tildeTexts gives",
      received: "tokens",
      remedy: "Read the query with tildeTexts, or let alpha be 1.",
    });
  }
  const byQuery = total(document.ids, query.likelihoods) / Math.max(1, document.ids.length);
  return alpha * byDocument + (1 - alpha) * byQuery;
}

/**
 * Tokens that a document does not have and that are likely in its queries, the likeliest first.
 *
 * @param top tokens that are looked at; 200 unless told
 * @param keep which tokens may be added (no stop words, no pieces inside words); all unless told
 */
export function tildeExpansion(
  { ids, likelihoods }: TildeText,
  { top = 200, keep = () => true }: { top?: number; keep?: (id: number) => boolean } = {},
): number[] {
  const own = new Set(ids);
  return Array.from(likelihoods.keys())
    .sort((a, b) => likelihoods[b] - likelihoods[a] || a - b)
    .slice(0, top)
    .filter((id) => !own.has(id) && keep(id));
}

/**
 * The loss of some texts that should say which tokens their partners have: binary cross-entropy over the vocabulary, summed,
 * over twice the number of texts. Both directions of a pair are added.
 *
 * @param logits [texts, vocabulary]
 * @param targets tokens of each text's partner
 */
export function tildeLoss(logits: Tensor, targets: readonly Int32Array[]): Tensor {
  const [rows, width] = logits.shape;
  const wanted = new Float32Array(rows * width);
  for (const [row, ids] of targets.entries()) for (const id of ids) wanted[row * width + id] = 1;
  return div(binaryCrossEntropy(logits, tensor(wanted, [rows, width]), "sum"), 2 * rows);
}
