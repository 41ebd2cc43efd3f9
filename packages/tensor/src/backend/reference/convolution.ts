import type { ConvolutionKernels } from "../contract/convolution.js";
import type { ReferenceMemory } from "./memory.js";

export const convolutionKernels = ({ real, integer }: ReferenceMemory): ConvolutionKernels => ({
  convolveTokensF32(
    x,
    weights,
    y,
    offsets,
    sequences,
    _tokens,
    width,
    taps,
    before,
    rowX,
    tapX,
    rowY,
    heads,
    rowW,
    headW,
    tapW,
  ) {
    const [from, to, ends] = [real(x), real(y), integer(offsets)];
    const factors = weights === null ? undefined : real(weights);
    for (let s = 0; s < sequences; s++) {
      for (let t = ends[s]; t < ends[s + 1]; t++) {
        for (let c = 0; c < width; c++) {
          const head = Math.floor((c * heads) / width);
          let sum = 0;
          for (let j = 0; j < taps; j++) {
            const token = t + j - before;
            if (token < ends[s] || token >= ends[s + 1]) continue;
            sum += (factors?.[t * rowW + head * headW + j * tapW] ?? 1) * from[token * rowX + j * tapX + c];
          }
          to[t * rowY + c] = sum;
        }
      }
    }
  },
});
