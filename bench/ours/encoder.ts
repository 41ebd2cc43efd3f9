// Our side of the suite `encoder`.
import { noGrad, packWeights, scope } from "@cloze/tensor";
import { loadModel, packSequences } from "cloze";
import type { Job } from "../harness.js";

/**
 * The forward pass of the BertForMaskedLM folder's encoder on rows of ids (ragged; packed while preparing), without
 * gradients or dropout. `outputs()` gives [last hidden states, packed: tokens × hidden].
 */
export async function prepareEncoder(folder: string, ids: number[][]): Promise<Job> {
  const model = loadModel(folder);
  const release = packWeights(model.encoder.parameters.values());
  const batch = packSequences(ids.map((row) => ({ ids: row })));
  const forward = () => noGrad(() => model.encoder.forward(batch).hidden);
  return {
    run: () => scope(() => void forward()),
    outputs: () => [scope(() => forward().toTypedArray() as Float32Array)],
    close() {
      release();
      model.dispose();
    },
  };
}
