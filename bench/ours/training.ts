// Our side of the suites `training` and `memory`.
import { backward, clipFactor, createAdamW, decayGroups, gradientNorm, noGrad, scope } from "@cloze/tensor";
import { loadModel, packSequences } from "cloze";
import type { Job } from "../harness.js";

/**
 * One masked-LM training step of the BertForMaskedLM folder: forward (dropout 0.1 as in its config), loss on the labels that
 * are not -100, backward, clip the gradient norm to 1, AdamW (lr 1e-4, weight decay 0.01), clear the gradients.
 * `loss()` gives the loss of the loaded weights with dropout off; it is called before the first `run()`.
 */
export async function prepareTraining(folder: string, ids: number[][], labels: number[][]): Promise<Job> {
  const model = loadModel(folder);
  const batch = packSequences(ids.map((row) => ({ ids: row })));
  const flat = labels.flat();
  const rows = Int32Array.from(flat.keys()).filter((row) => flat[row] !== -100);
  const targets = rows.map((row) => flat[row]);
  const parameters = [...model.parameters.values()];
  const optimizer = createAdamW(decayGroups(model.parameters, { learningRate: 1e-4, weightDecay: 0.01 }));
  let seed = 0;
  const lossOf = (training: boolean) => {
    const { loss } = model.forward(batch, { rows, targets, training, seed: seed++ });
    if (loss === undefined) throw new Error("the model gave no loss");
    return loss;
  };
  return {
    run() {
      scope(() => backward(lossOf(true)));
      optimizer.step(1, clipFactor(gradientNorm(parameters), 1));
      optimizer.zeroGrad();
    },
    loss: () => scope(() => noGrad(() => lossOf(false).item())),
    close() {
      optimizer.dispose();
      model.dispose();
    },
  };
}
