// All pairs of vectors that are nearer than a threshold.
import { matmul, noGrad, scope, slice, tensor, transpose } from "@cloze/tensor";

const block = 512;

/**
 * Calls back with each pair of rows (earlier, later) whose cosine reaches the threshold.
 *
 * @param x rows of length 1: [rows, width]
 */
export function forEachNeighbours(
  x: Float32Array,
  width: number,
  threshold: number,
  visit: (earlier: number, later: number, cosine: number) => void,
): void {
  const rows = x.length / width;
  scope(() =>
    noGrad(() => {
      const all = tensor(x, [rows, width]);
      for (let start = 0; start < rows; start += block) {
        const end = Math.min(rows, start + block);
        scope(() => {
          // Later rows against all earlier ones and those of their own block.
          const later = slice(all, [{ start, end }]);
          const scores = matmul(later, transpose(slice(all, [{ start: 0, end }]))).toTypedArray();
          for (let i = start; i < end; i++) {
            for (let j = 0; j < i; j++) {
              const cosine = scores[(i - start) * end + j];
              if (cosine >= threshold) visit(j, i, cosine);
            }
          }
        });
      }
    }),
  );
}
