import { backend } from "./backend/index.js";
import type { DType, TypedArray } from "./dtype.js";
import { bytesPerElement, isReal, typedArray } from "./dtype.js";
import { ClozeError } from "./errors.js";
import type { GraphNode } from "./graph.js";
import { releaseNode, retainNode } from "./graph.js";
import type { MemoryKind } from "./memory.js";
import { register, Storage } from "./memory.js";
import type { Shape } from "./shape.js";
import { contiguousStrides, elementCount, formatShape, isContiguous, validateShape } from "./shape.js";

/** Nested arrays of numbers, or one number. */
export type NestedNumbers = number | readonly NestedNumbers[];

interface TensorParts {
  storage: Storage;
  shape: Shape;
  strides?: readonly number[];
  offset?: number;
  node?: GraphNode;
  outputIndex?: number;
}

/**
 * An array outside the JavaScript heap: a view (shape, strides, offset) of a counted allocation, and its place in the
 * graph of operations. Operations are functions in `ops/`; a tensor itself only knows its data and its life.
 */
export class Tensor {
  readonly storage: Storage;
  readonly shape: Shape;
  /** In elements; 0 where an axis is broadcast. */
  readonly strides: readonly number[];
  /** In elements from the start of the storage. */
  readonly offset: number;
  /** What made this tensor, when gradients flow through it. */
  readonly node: GraphNode | undefined;
  readonly outputIndex: number;
  /** The gradient of a leaf, after `backward`. Dense unless `touchedRows` is set. */
  grad: Tensor | undefined;
  /** Rows of `grad` that were written since the optimizer's last step; set where `sparseRows` is. */
  touchedRows: Int32Array[] | undefined;
  /** A table whose gradient touches few rows: the optimizer then visits only those. See `parameter`. */
  sparseRows = false;
  #requiresGrad = false;
  #disposed = false;
  #kept = false;

  /** Takes over one reference to the storage. Use the creation functions instead. */
  constructor({ storage, shape, strides, offset = 0, node, outputIndex = 0 }: TensorParts) {
    this.storage = storage;
    this.shape = shape;
    this.strides = strides ?? contiguousStrides(shape);
    this.offset = offset;
    this.node = node;
    this.outputIndex = outputIndex;
    if (node !== undefined) retainNode(node);
    register(this);
  }

  get dtype(): DType {
    return this.storage.dtype;
  }
  get rank(): number {
    return this.shape.length;
  }
  /** Number of elements. */
  get size(): number {
    return elementCount(this.shape);
  }
  get contiguous(): boolean {
    return isContiguous(this.shape, this.strides);
  }
  get disposed(): boolean {
    return this.#disposed;
  }
  get kept(): boolean {
    return this.#kept;
  }
  /** True where gradients are wanted: for a leaf by `requireGrad`, else because an input of its operation wants them. */
  get requiresGrad(): boolean {
    return this.#requiresGrad || this.node !== undefined;
  }

  /** The address of the first element, for kernels. Throws TENSOR_DISPOSED. */
  get pointer(): number {
    this.assertLive();
    return this.storage.address + this.offset * bytesPerElement[this.dtype];
  }

  /** Throws TENSOR_DISPOSED when the memory is gone. */
  assertLive(): void {
    if (this.#disposed) {
      throw new ClozeError("TENSOR_DISPOSED", `A tensor ${formatShape(this.shape)} was used after it was freed`, {
        remedy: "Return it from the scope that made it, or call keep() on it.",
      });
    }
  }

  /** Marks a leaf as wanting gradients (or no longer). Returns itself. */
  requireGrad(wanted = true): this {
    this.assertLive();
    if (this.node !== undefined) {
      throw new ClozeError(
        "NOT_A_LEAF",
        "Only a tensor that no recorded operation made can be told to require gradients",
        {
          remedy: "Call detach() first.",
        },
      );
    }
    if (wanted && !isReal(this.dtype)) {
      throw new ClozeError("DTYPE_NOT_SUPPORTED", "Gradients flow through float32 and float64 only", {
        received: this.dtype,
      });
    }
    this.#requiresGrad = wanted;
    return this;
  }

  /** Keeps this tensor alive beyond every scope, until `dispose`. Returns itself. */
  keep(kind?: MemoryKind): this {
    this.assertLive();
    this.#kept = true;
    if (kind !== undefined) this.storage.kind = kind;
    return this;
  }

  /** Frees this tensor now. Calling it twice is fine. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.storage.release();
    this.grad?.dispose();
    this.grad = undefined;
    if (this.node !== undefined) releaseNode(this.node);
  }
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Another view of the same storage, outside the graph. */
  view(shape: Shape = this.shape, strides?: readonly number[], offset: number = this.offset): Tensor {
    this.assertLive();
    const sameShapeAsBefore = shape === this.shape && strides === undefined;
    return new Tensor({
      storage: this.storage.retain(),
      shape,
      strides: sameShapeAsBefore ? this.strides : strides,
      offset,
    });
  }

  /** The same data without its history: gradients stop here. */
  detach(): Tensor {
    return this.view();
  }

  /** Notes that the data was written in place, so that a backward pass which saved it can say so. */
  markWritten(): void {
    this.storage.version++;
  }

  /** Copies the elements out, in row-major order. */
  toTypedArray(): TypedArray {
    this.assertLive();
    const into = typedArray(this.dtype, this.size);
    if (into.length === 0) return into;
    if (this.contiguous) {
      this.storage.backend.read(this.pointer, into);
      return into;
    }
    const copy = contiguousCopy(this);
    this.storage.backend.read(copy.pointer, into);
    copy.dispose();
    return into;
  }

  /** Copies the elements out as nested arrays. */
  toArray(): NestedNumbers {
    const data = this.toTypedArray();
    let position = 0;
    const build = (axis: number): NestedNumbers => {
      if (axis === this.rank) return data[position++];
      return Array.from({ length: this.shape[axis] }, () => build(axis + 1));
    };
    return build(0);
  }

  /** The value of a tensor with one element. */
  item(): number {
    if (this.size !== 1) {
      throw new ClozeError("SHAPE_MISMATCH", "item() reads a tensor of one element", {
        received: formatShape(this.shape),
      });
    }
    return this.toTypedArray()[0];
  }

  toString(): string {
    return `Tensor(${this.dtype} ${formatShape(this.shape)}${this.#disposed ? ", freed" : ""})`;
  }
}

/** A row-major copy outside the graph. Operations use `contiguous` of ops/movement, which is differentiable. */
export function contiguousCopy(x: Tensor): Tensor {
  const y = empty(x.shape, x.dtype);
  if (x.size > 0) {
    x.storage.backend.kernels.copyStrided(
      x.pointer,
      y.pointer,
      Int32Array.from(x.shape),
      Int32Array.from(x.strides),
      x.rank,
      bytesPerElement[x.dtype],
    );
  }
  return y;
}

/** A tensor whose elements are not set. */
export function empty(shape: Shape, dtype: DType = "float32"): Tensor {
  validateShape("empty", shape);
  return new Tensor({ storage: new Storage(elementCount(shape), dtype), shape: [...shape] });
}

/** A tensor filled with one value (float32, float64 or int32). Default 0. */
export function full(shape: Shape, value: number, dtype: DType = "float32"): Tensor {
  const y = empty(shape, dtype);
  if (y.size === 0) return y;
  const { kernels } = backend();
  if (dtype === "int32") kernels.fillI32(y.pointer, value, y.size);
  else if (isReal(dtype)) kernels.fillF32(y.pointer, value, y.size);
  else y.storage.backend.write(typedArray(dtype, y.size).fill(value), y.pointer);
  return y;
}

export const zeros = (shape: Shape, dtype: DType = "float32"): Tensor => full(shape, 0, dtype);
export const ones = (shape: Shape, dtype: DType = "float32"): Tensor => full(shape, 1, dtype);

const arrayTypes = new Map<string, DType>([
  ["Float32Array", "float32"],
  ["Float64Array", "float64"],
  ["Int32Array", "int32"],
  ["Int8Array", "int8"],
  ["Uint16Array", "bfloat16"],
]);

/**
 * A tensor from numbers: a number, nested arrays, or a typed array with a shape (default one axis).
 * Nested arrays become float32 unless `dtype` says otherwise; a typed array keeps its type (Uint16Array: bfloat16 bits).
 *
 * @throws RAGGED_ARRAY, SHAPE_MISMATCH
 * @example
 * const x = tensor([[1, 2], [3, 4]]);
 * const ids = tensor(Int32Array.of(5, 6, 7));
 */
export function tensor(data: NestedNumbers | TypedArray, shape?: Shape, dtype?: DType): Tensor {
  let flat: ArrayLike<number>;
  let inferred: Shape;
  if (ArrayBuffer.isView(data)) {
    flat = data;
    inferred = [data.length];
    dtype ??= arrayTypes.get(data.constructor.name);
  } else {
    inferred = nestedShape(data);
    const numbers = (Array.isArray(data) ? data.flat(Number.POSITIVE_INFINITY) : [data]) as number[];
    if (numbers.length !== elementCount(inferred)) {
      throw new ClozeError("RAGGED_ARRAY", "Nested arrays must have the same length on each level", {
        expected: `${elementCount(inferred)} numbers`,
        received: `${numbers.length}`,
      });
    }
    flat = numbers;
  }
  const wanted = shape ?? inferred;
  if (elementCount(wanted) !== flat.length) {
    throw new ClozeError("SHAPE_MISMATCH", "tensor: the data does not fill the shape", {
      expected: `${elementCount(wanted)} elements for ${formatShape(wanted)}`,
      received: String(flat.length),
    });
  }
  const y = empty(wanted, dtype ?? "float32");
  if (y.size === 0) return y;
  const same = ArrayBuffer.isView(flat) && arrayTypes.get(flat.constructor.name) === y.dtype;
  let source: TypedArray;
  if (same) source = flat as unknown as TypedArray;
  else {
    source = typedArray(y.dtype, flat.length);
    source.set(flat);
  }
  y.storage.backend.write(source, y.pointer);
  return y;
}

function nestedShape(data: NestedNumbers): number[] {
  const shape: number[] = [];
  for (let level: NestedNumbers = data; Array.isArray(level); level = level[0]) shape.push(level.length);
  return shape;
}

/**
 * A leaf that an optimizer trains: kept beyond scopes, counted as weights.
 * `sparseRows` marks a table (embeddings) of which a step touches few rows: its gradient is then a table of zeros plus the
 * list of touched rows, and optimizers that allow it visit only these.
 */
export function parameter(data: Tensor, { sparseRows = false } = {}): Tensor {
  const leaf = data.node === undefined ? data : data.detach();
  leaf.requireGrad().keep("weights");
  leaf.sparseRows = sparseRows;
  return leaf;
}
