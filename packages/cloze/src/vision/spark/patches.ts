// Images cut into square patches, and what is to be painted in each.
import {
  add,
  div,
  mean,
  mul,
  noGrad,
  permute,
  reshape,
  scope,
  sqrt,
  sub,
  sum,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";

/** Patches of images, row by row. x: [images, height, width, channels] -> [images x patches, side x side x channels] */
export function patchify(x: Tensor, side: number): Tensor {
  const [images, height, width, channels] = x.shape;
  const [rows, columns] = [height / side, width / side];
  const cut = permute(reshape(x, [images, rows, side, columns, side, channels]), [0, 1, 3, 2, 4, 5]);
  return reshape(cut, [images * rows * columns, side * side * channels]);
}

/** Undoes `patchify`. -> [images, height, width, channels] */
export function unpatchify(
  patches: Tensor,
  [images, height, width, channels]: readonly number[],
  side: number,
): Tensor {
  const [rows, columns] = [height / side, width / side];
  const cut = permute(reshape(patches, [images, rows, columns, side, side, channels]), [0, 1, 3, 2, 4, 5]);
  return reshape(cut, [images, height, width, channels]);
}

/** Each patch less its mean, divided by the root of its sample variance + 1e-6. [patches, values] */
export function normalizePatches(patches: Tensor): Tensor {
  return noGrad(() =>
    scope(() => {
      const values = patches.shape[1];
      const centred = sub(patches, mean(patches, [1], true));
      const variance = div(sum(mul(centred, centred), [1], true), Math.max(1, values - 1));
      return div(centred, sqrt(add(variance, 1e-6)));
    }),
  );
}

/**
 * What is left between images and what was painted: each patch's mean square, targets in the patch's own units, averaged over
 * hidden patches or all. Whoever paints no more than each patch's mean is at 1 (or (n - 1) / n, with n values of a patch).
 *
 * @param painted [images, height, width, channels]
 * @param wanted the images, of the same shape
 * @param hidden patches that count, by their number through all images; default all
 */
export function paintingError(painted: Tensor, wanted: Tensor, side: number, hidden?: Int32Array): Tensor {
  return scope(() => {
    const compared = (x: Tensor): Tensor => {
      const patches = patchify(x, side);
      return hidden === undefined ? patches : take(patches, tensor(hidden));
    };
    const difference = sub(
      compared(painted),
      noGrad(() => normalizePatches(compared(wanted))),
    );
    return mean(mul(difference, difference));
  });
}
