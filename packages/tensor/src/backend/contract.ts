// The whole boundary between the engine and a backend. A backend owns memory and offers kernels on addresses.
// A kernel family is one file in contract/ (its signatures), one in reference/ (plain TypeScript) and one in native/kernels/.
import type { DType, TypedArray } from "../dtype.js";
import type { ConvolutionKernels } from "./contract/convolution.js";
import type { CoreKernels } from "./contract/core.js";
import type { CrfKernels } from "./contract/crf.js";
import type { ElementwiseKernels } from "./contract/elementwise.js";
import type { EmbeddingKernels } from "./contract/embedding.js";
import type { FourierKernels } from "./contract/fourier.js";
import type { Int8Kernels } from "./contract/int8.js";
import type { MatmulKernels } from "./contract/matmul.js";
import type { NearestKernels } from "./contract/nearest.js";
import type { AttentionKernels, NetworkKernels } from "./contract/network.js";
import type { OptimizerKernels } from "./contract/optimizer.js";
import type { QuantizeKernels } from "./contract/quantize.js";
import type { RecurrentKernels } from "./contract/recurrent.js";
import type { ReduceKernels } from "./contract/reduce.js";
import type { RotaryKernels } from "./contract/rotary.js";
import type { SparseKernels } from "./contract/sparse.js";

/** An address inside a backend's memory, or (for small read-only tables such as shapes) a typed array, or nothing. */
export type Pointer = number | TypedArray | null;

/** Kernels assume that their arguments were validated by the operation that calls them. */
export interface Kernels
  extends ConvolutionKernels,
    CoreKernels,
    CrfKernels,
    OptimizerKernels,
    ElementwiseKernels,
    FourierKernels,
    Int8Kernels,
    MatmulKernels,
    NearestKernels,
    QuantizeKernels,
    RecurrentKernels,
    ReduceKernels,
    RotaryKernels,
    SparseKernels,
    NetworkKernels,
    EmbeddingKernels,
    AttentionKernels {}

/** Runs many kernel calls at once; see plan.ts. Addresses point to float64 numbers. threads: at most so many; 0: all. */
export interface PlanRunner {
  /** The number of a kernel in the code of a plan. */
  place(kernel: keyof Kernels): number;
  run(code: number, length: number, variables: number, threads: number): void;
  /** Whether several of `runAsync` run beside each other; else one after the other. */
  readonly beside: boolean;
  /** On another thread. */
  runAsync(code: number, length: number, variables: number, threads: number): Promise<void>;
}

export interface Backend {
  readonly name: "native" | "wasm" | "reference";
  /** The instruction set in use ("amx", "avx512", "avx2", "baseline", "wasm-relaxed", "wasm-simd") or "typescript". */
  readonly isa: string;
  readonly kernels: Kernels;
  /** Absent: plans are run call by call. */
  readonly plans?: PlanRunner;
  /** Memory for `count` elements, not cleared. Throws OUT_OF_MEMORY. */
  allocate(count: number, dtype: DType): number;
  free(address: number): void;
  /**
   * Where an array lies, for kernels that run while JavaScript goes on; valid for as long as something holds the array. Absent
   * where the backend's memory is apart from JavaScript's.
   */
  addressOf?(array: TypedArray): number;
  /** Copies from an address into an array. */
  read(address: number, into: TypedArray): void;
  /** Copies an array to an address. */
  write(from: TypedArray, address: number): void;
  /** Copies elements between addresses; they may not overlap. */
  copy(from: number, to: number, count: number, dtype: DType): void;
  /** Gives cached free memory back to the system. */
  trim(): void;
  /** Bytes freed but kept for reuse. */
  cachedBytes(): number;
  threads(): number;
  setThreads(count: number): void;
}
