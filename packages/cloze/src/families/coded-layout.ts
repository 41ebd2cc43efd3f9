// Weights of few bits in a file: codes packed into bytes, and the ranges of their groups.
import { contiguous, type Tensor, tensor } from "@cloze/tensor";
import {
  type CodeForm,
  decodeGroups,
  encodeGroups,
  groupCount,
  packCodes,
  packedRowBytes,
  unpackCodes,
} from "../encoder/weights/group-codes.js";
import type { StoredLayout } from "./stored-layout.js";

/** Two tensors for a matrix: codes (int8, [outputs, bytes of a row]) and ranges (float32 [groups, 2]: step and least). */
export const coded = (form: CodeForm): StoredLayout => ({
  shapes: ([outputs, inputs]) => [
    [outputs, packedRowBytes(inputs, form.bits)],
    [groupCount(form, outputs), 2],
  ],
  read([packed, ranges], [outputs, inputs]) {
    const pairs = ranges.toTypedArray();
    const steps = Float32Array.from({ length: pairs.length / 2 }, (_, group) => pairs[2 * group]);
    const least = Float32Array.from({ length: pairs.length / 2 }, (_, group) => pairs[2 * group + 1]);
    const codes = unpackCodes(packed.toTypedArray() as Int8Array, outputs, inputs, form.bits);
    return tensor(decodeGroups({ codes, steps, least }, outputs, inputs), [outputs, inputs]);
  },
  write(value): Tensor[] {
    const [outputs, inputs] = value.shape;
    const { codes, steps, least } = encodeGroups(
      contiguous(value).toTypedArray() as Float32Array,
      outputs,
      inputs,
      form,
    );
    return [
      tensor(packCodes(codes, outputs, inputs, form.bits), [outputs, packedRowBytes(inputs, form.bits)]),
      tensor(
        Float32Array.from({ length: 2 * steps.length }, (_, i) => (i % 2 === 0 ? steps : least)[i >> 1]),
        [steps.length, 2],
      ),
    ];
  },
});
