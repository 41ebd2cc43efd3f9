// The loss of masked words on sequences that are not trained on: the same words hidden from every model.
import { noGrad, scope } from "@cloze/tensor";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import type { Model } from "../families/index.js";
import type { Objective, ObjectiveVocabulary } from "../objectives/index.js";
import { maskTokens } from "../objectives/masking.js";

/**
 * Hides 15 % of the tokens of sequences once, and gives a measure: a model's mean loss over what is hidden.
 *
 * @param sequences without special tokens
 * @example
 * const lossOf = maskedLoss(held, vocabulary);
 * const better = lossOf(after) < lossOf(before);
 */
export function maskedLoss(sequences: readonly ArrayLike<number>[], vocabulary: ObjectiveVocabulary) {
  const { clsId, sepId } = vocabulary;
  const size = 64;
  const parts = Array.from({ length: Math.ceil(sequences.length / size) }, (_, part) => {
    const some = sequences.slice(part * size, (part + 1) * size);
    const batch = packSequences(some.map((ids) => ({ ids: Int32Array.from([clsId, ...Array.from(ids), sepId]) })));
    return maskTokens(batch, vocabulary, randomSource(0x5eed, part));
  });
  const hidden = parts.reduce((sum, { rows }) => sum + rows.length, 0);
  return (model: Pick<Model, "forward">): number =>
    parts.reduce(
      (sum, { batch, rows, targets }) =>
        sum +
        (scope(() => noGrad(() => model.forward(batch, { rows, targets }).loss?.item() ?? Number.NaN)) * rows.length) /
          hidden,
      0,
    );
}

/**
 * The loss of an objective on sequences as it stands, without dropout and random choices that only serve training: of the
 * model with what is trained beside it.
 *
 * @param sequences without special tokens
 */
export function objectiveLoss(
  { prepare, loss }: Objective,
  sequences: readonly ArrayLike<number>[],
  { clsId, sepId }: ObjectiveVocabulary,
): number {
  if (prepare === undefined) throw new Error("the objective reads documents");
  const batch = packSequences(sequences.map((ids) => ({ ids: Int32Array.from([clsId, ...Array.from(ids), sepId]) })));
  const prepared = prepare(batch, randomSource(0x5eed));
  return scope(() => noGrad(() => loss(prepared, { seed: 0, step: 0, training: false }).item()));
}
