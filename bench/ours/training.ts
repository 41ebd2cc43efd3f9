// Our side of the suites `training` and `memory`.
import type { Job } from "../harness.js";

/**
 * One masked-LM training step of the BertForMaskedLM folder: forward (dropout 0.1 as in its config), loss on the labels that
 * are not -100, backward, clip the gradient norm to 1, AdamW (lr 1e-4, weight decay 0.01), clear the gradients.
 * `loss()` gives the loss of the loaded weights with dropout off; it is called before the first `run()`.
 */
export async function prepareTraining(_folder: string, _ids: number[][], _labels: number[][]): Promise<Job> {
  throw new Error("ours not wired: bench/ours/training.ts");
}
