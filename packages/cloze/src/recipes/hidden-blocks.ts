// What a run of masked blocks has learnt: which block was hidden where, and whether the vectors of blocks have become one.
import { noGrad, scope } from "@cloze/tensor";
import type { DocumentSource } from "../data/document-source.js";
import { randomSource } from "../data/random-source.js";
import { copiesOf } from "../encoder/parameters.js";
import type { Model } from "../families/index.js";
import { type Objective, type ObjectiveConfigInput, parseObjective } from "../objectives/index.js";
import { createBlockPrediction, type MaskedBlockBatch } from "../objectives/masked-blocks.js";

export interface HiddenBlocks {
  /** Share of hidden blocks that are picked out among those of their batch. */
  readonly accuracy: number;
  /** What guessing gives. */
  readonly chance: number;
  /** Mean cosine between the blocks of a batch: 1 where all have become one. */
  readonly cosine: number;
}

/**
 * Asks the objective `masked-blocks` about documents that it was not trained on, at the end of a run (`inspect`).
 *
 * @param options what the objective was told
 * @param perBatch documents drawn for a batch; the objective adds some where its tokens allow it
 */
export function hiddenBlocks(
  { draw, parameters }: Objective,
  model: Model,
  options: ObjectiveConfigInput,
  documents: DocumentSource,
  perBatch: number,
): HiddenBlocks {
  if (draw === undefined) throw new Error("the objective does not read documents");
  const config = parseObjective(options) as Parameters<typeof createBlockPrediction>[0];
  const prediction = createBlockPrediction(config, { model, seed: 1 }, copiesOf(parameters));
  const batches = Math.floor(documents.count / perBatch);
  let [asked, right, cosine] = [0, 0, 0];
  for (let i = 0; i < batches; i++) {
    const positions = Int32Array.from({ length: perBatch }, (_, place) => i * perBatch + place);
    const prepared = draw(documents, positions, randomSource(0x5eed, i)) as MaskedBlockBatch;
    scope(() =>
      noGrad(() => {
        const { hidden } = model.forward(prepared.batch);
        const vectors = prediction.level.blockVectors(hidden, prepared.batch.offsets);
        const logits = prediction.logits(vectors, prepared).toArray() as number[][];
        asked += logits.length;
        right += logits.filter((row, a) => row.every((value, b) => b === a || value < row[a])).length;
        const rows = vectors.toArray() as number[][];
        let sum = 0;
        for (let a = 0; a < rows.length; a++) {
          for (let b = 0; b < a; b++) for (let c = 0; c < rows[a].length; c++) sum += rows[a][c] * rows[b][c];
        }
        cosine += sum / ((rows.length * (rows.length - 1)) / 2) / batches;
      }),
    );
  }
  prediction.dispose();
  return { accuracy: right / asked, chance: batches / asked, cosine };
}
