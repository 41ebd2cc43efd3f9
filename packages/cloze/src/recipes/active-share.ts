// How far stacked convolutions carry what is visible into what is hidden.
import { scope, tensor } from "@cloze/tensor";
import type { ActiveMask } from "../vision/active-mask.js";
import { convolve } from "../vision/convolution.js";
import { createLayout, denseFeatures, type FeatureMap } from "../vision/feature-map.js";

/**
 * Share of places that are not 0 after stacked 3 x 3 convolutions, where visible pixels were 1 and hidden ones 0.
 *
 * @param sparse visible places alone are computed; else all of them
 */
export function activeShare(active: ActiveMask, side: number, convolutions: number, sparse: boolean): number {
  return scope(() => {
    const visible = createLayout(active.images, side, side, active);
    const seen: FeatureMap = {
      rows: tensor(new Float32Array(visible.count).fill(1), [visible.count, 1]),
      layout: visible,
    };
    const all = createLayout(active.images, side, side);
    let x: FeatureMap = sparse
      ? seen
      : { rows: tensor(denseFeatures(seen).toTypedArray(), [all.count, 1]), layout: all };
    const kernel = tensor(new Float32Array(9).fill(1 / 9), [1, 1, 3, 3]);
    for (let i = 0; i < convolutions; i++) x = convolve(x, kernel);
    const values = denseFeatures(x).toTypedArray() as Float32Array;
    return values.filter((value) => value !== 0).length / values.length;
  });
}
