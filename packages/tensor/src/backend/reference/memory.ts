// An address space made of JavaScript arrays: the block's number in the high bits, the byte offset in the low ones.
import type { DType, TypedArray } from "../../dtype.js";
import { bytesPerElement, typedArray } from "../../dtype.js";
import { ClozeError } from "../../errors.js";
import type { Pointer } from "../contract.js";

const blockSpan = 2 ** 32;

export interface ReferenceMemory {
  allocate(count: number, dtype: DType): number;
  free(address: number): void;
  /** The rest of the block from an address on, as the type that was allocated. */
  array(pointer: Pointer): TypedArray;
  /** The same for float32 or float64 memory. */
  real(pointer: Pointer): Float32Array | Float64Array;
  integer(pointer: Pointer): Int32Array;
}

export function createReferenceMemory(): ReferenceMemory {
  const blocks: (TypedArray | undefined)[] = [undefined];
  const freeNumbers: number[] = [];
  const array = (pointer: Pointer): TypedArray => {
    if (typeof pointer !== "number") return pointer ?? new Float32Array(0);
    const block = blocks[Math.floor(pointer / blockSpan)];
    if (block === undefined) throw new ClozeError("INVALID_ADDRESS", "The reference backend has no such address");
    return block.subarray((pointer % blockSpan) / block.BYTES_PER_ELEMENT) as TypedArray;
  };
  return {
    allocate(count, dtype) {
      if (count * bytesPerElement[dtype] >= blockSpan) {
        throw new ClozeError("OUT_OF_MEMORY", "The reference backend holds at most 4 GB in one tensor");
      }
      const number = freeNumbers.pop() ?? blocks.length;
      blocks[number] = typedArray(dtype, count);
      return number * blockSpan;
    },
    free(address) {
      const number = Math.floor(address / blockSpan);
      blocks[number] = undefined;
      freeNumbers.push(number);
    },
    array,
    real: (pointer) => array(pointer) as Float32Array | Float64Array,
    integer: (pointer) => array(pointer) as Int32Array,
  };
}
