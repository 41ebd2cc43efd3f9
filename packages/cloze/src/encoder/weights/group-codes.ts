// Weights as codes of few bits: one range for a group of outputs (Q-BERT, arXiv 1909.05840).
import type { Int4Weight } from "@cloze/tensor";

/** How a matrix becomes codes. */
export interface CodeForm {
  readonly bits: 2 | 3 | 4 | 8;
  /** Equal groups of consecutive outputs that share a range; with 8 bits each output has its own. */
  readonly groups: number;
}

/** A matrix [outputs, inputs] as codes: code steps[group] + least[group]. */
export interface GroupCodes {
  /** 0 to 2^bits - 1; with 8 bits -127 to 127. [outputs x inputs] */
  readonly codes: Int8Array;
  /** [groups] */
  readonly steps: Float32Array;
  /** The number of code 0. [groups] */
  readonly least: Float32Array;
}

/** Groups of a matrix: at most one for each output. */
export const groupCount = ({ bits, groups }: CodeForm, outputs: number): number =>
  bits === 8 ? outputs : Math.min(groups, outputs);

/** The group of an output; groups differ in size by one output at most. */
export const groupOf = (output: number, outputs: number, groups: number): number =>
  Math.floor(((output + 1) * groups - 1) / outputs);

/** Ends of the codes' range for the numbers `from` to `to` of a matrix: symmetric for 8 bits (as the kernels want it). */
function rangeOf(values: Float32Array, from: number, to: number, bits: number): { step: number; least: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) {
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  if (bits === 8) {
    const largest = Math.max(-low, high);
    return { step: largest > 0 ? Math.fround(largest / 127) : 1, least: 0 };
  }
  const step = Math.fround((high - low) / (2 ** bits - 1));
  return { step: step > 0 ? step : 1, least: low };
}

/** The nearest codes: D = (q_max - q_0) / (2^bits - 1), code = round((w - q_0) / D). */
export function encodeGroups(values: Float32Array, outputs: number, inputs: number, form: CodeForm): GroupCodes {
  const groups = groupCount(form, outputs);
  const codes = new Int8Array(values.length);
  const [steps, least] = [new Float32Array(groups), new Float32Array(groups)];
  const [lowest, highest] = form.bits === 8 ? [-127, 127] : [0, 2 ** form.bits - 1];
  for (let group = 0, row = 0; group < groups; group++) {
    const first = row;
    while (row < outputs && groupOf(row, outputs, groups) === group) row++;
    const { step, least: zero } = rangeOf(values, first * inputs, row * inputs, form.bits);
    steps[group] = step;
    least[group] = zero;
    for (let i = first * inputs; i < row * inputs; i++) {
      codes[i] = Math.max(lowest, Math.min(highest, Math.round((values[i] - zero) / step)));
    }
  }
  return { codes, steps, least };
}

/** What codes stand for. -> [outputs x inputs] */
export function decodeGroups({ codes, steps, least }: GroupCodes, outputs: number, inputs: number): Float32Array {
  const values = new Float32Array(codes.length);
  for (let row = 0; row < outputs; row++) {
    const group = groupOf(row, outputs, steps.length);
    for (let i = row * inputs; i < (row + 1) * inputs; i++) values[i] = codes[i] * steps[group] + least[group];
  }
  return values;
}

/** The same with a range for each output, as plans take it. */
export function int4Weight({ codes, steps, least }: GroupCodes, outputs: number): Int4Weight {
  const of = (values: Float32Array) =>
    Float32Array.from({ length: outputs }, (_, row) => values[groupOf(row, outputs, steps.length)]);
  return { codes, steps: of(steps), least: of(least) };
}

/** Bits that a code takes in a file: whole codes in a byte. */
const storedBits = (bits: number): number => (bits === 3 ? 4 : bits);

/** Bytes of a row of codes in a file. */
export const packedRowBytes = (inputs: number, bits: number): number => Math.ceil((inputs * storedBits(bits)) / 8);

/** Codes side by side in bytes, the first in the low bits. -> [outputs x packedRowBytes] */
export function packCodes(codes: Int8Array, outputs: number, inputs: number, bits: number): Int8Array {
  const width = storedBits(bits);
  if (width === 8) return codes;
  const [perByte, row] = [8 / width, packedRowBytes(inputs, bits)];
  const packed = new Int8Array(outputs * row);
  for (let output = 0; output < outputs; output++) {
    for (let i = 0; i < inputs; i++) {
      packed[output * row + Math.floor(i / perByte)] |= codes[output * inputs + i] << (width * (i % perByte));
    }
  }
  return packed;
}

/** Undoes `packCodes`. */
export function unpackCodes(packed: Int8Array, outputs: number, inputs: number, bits: number): Int8Array {
  const width = storedBits(bits);
  if (width === 8) return packed;
  const [perByte, row, mask] = [8 / width, packedRowBytes(inputs, bits), 2 ** width - 1];
  const codes = new Int8Array(outputs * inputs);
  for (let output = 0; output < outputs; output++) {
    for (let i = 0; i < inputs; i++) {
      codes[output * inputs + i] = (packed[output * row + Math.floor(i / perByte)] >> (width * (i % perByte))) & mask;
    }
  }
  return codes;
}
