import type { Model } from "../families/index.js";
import { halfScheme } from "../training/multi-level/width-and-depth.js";

/**
 * How far the inner neurons of a channel are from those that the default scheme groups them with: the norm of the
 * difference of their input weights as a share of their own, the mean over layers. 0 where they are copies.
 */
export function copiesApart(model: Model): number {
  const { heads } = halfScheme(model.config);
  const count = heads.flat().length;
  const shares = model.config.layers.map((_, layer) => {
    const weight = model.encoder.parameters.get(`layers.${layer}.channel.input.weight`);
    if (weight === undefined) throw new Error(`layer ${layer} has no channel with an input`);
    const data = weight.toTypedArray() as Float32Array;
    const block = data.length / count;
    let [apart, size] = [0, 0];
    for (const [first, second] of heads) {
      for (let i = 0; i < block; i++) {
        apart += (data[first * block + i] - data[second * block + i]) ** 2;
        size += data[first * block + i] ** 2;
      }
    }
    return Math.sqrt(apart / size);
  });
  return shares.reduce((a, b) => a + b, 0) / shares.length;
}
