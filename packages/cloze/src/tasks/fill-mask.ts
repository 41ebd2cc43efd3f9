// What a masked language model thinks stands at a mask.
import { noGrad, scope, softmax, topK } from "@cloze/tensor";
import { packSequences } from "../data/packed-batch.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";
import type { Tokenizer } from "../text/index.js";

export interface MaskPrediction {
  readonly token: string;
  readonly id: number;
  readonly probability: number;
}

export interface FilledText {
  readonly text: string;
  /** The best predictions of each mask, best first. */
  readonly masks: readonly (readonly MaskPrediction[])[];
}

/**
 * Predicts the masked tokens of texts.
 *
 * @param texts each with at least one mask token, as the tokenizer writes it ("[MASK]")
 * @param top predictions per mask; default 5
 * @throws NO_MASK, HEAD_MISMATCH
 * @example
 * fillMask(model, tokenizer, ["The capital of France is [MASK]."])[0].masks[0][0].token;
 */
export function fillMask(model: Model, tokenizer: Tokenizer, texts: readonly string[], top = 5): FilledText[] {
  const { maskId } = tokenizer;
  const maxLength = model.encoder.config.maxPositions;
  return texts.map((text) => {
    const ids = tokenizer.encodeIds(text, { truncation: { maxLength } });
    const rows = Int32Array.from(Array.from(ids.keys()).filter((i) => ids[i] === maskId));
    if (rows.length === 0) {
      throw new ClozeError("NO_MASK", "A text has no mask to fill", {
        expected: `${tokenizer.idToToken(maskId)} somewhere in its first ${maxLength} tokens`,
        received: JSON.stringify(text.slice(0, 80)),
      });
    }
    const masks = scope(() =>
      noGrad(() => {
        const { logits } = model.forward(packSequences([{ ids }]), { rows });
        if (logits === undefined) {
          throw new ClozeError("HEAD_MISMATCH", "This model's head predicts no tokens", {
            remedy: "Load a model that was trained as a masked language model.",
          });
        }
        const best = topK(softmax(logits), top);
        const [values, indices] = [best.values.toTypedArray(), best.indices.toTypedArray()];
        const count = best.values.shape[1];
        return Array.from(rows, (_, mask) =>
          Array.from({ length: count }, (_, place): MaskPrediction => {
            const id = indices[mask * count + place];
            return { token: tokenizer.idToToken(id) ?? "", id, probability: values[mask * count + place] };
          }),
        );
      }),
    );
    return { text, masks };
  });
}
