// The WebAssembly backend: the native kernels for machines that have no module of their own, and for browsers.
import type { DType, TypedArray } from "../dtype.js";
import { bytesPerElement } from "../dtype.js";
import { ClozeError } from "../errors.js";
import type { Backend, Kernels, Pointer } from "./contract.js";
import type { WasmIsa } from "./wasm/features.js";
import { createThreads, outOfMemory } from "./wasm/threads.js";
import { math, platform, type WasmInstance, type WasmMemory, type WasmModule } from "./wasm/web-assembly.js";

const initialPages = 64;

/** Memory for an instance: up to 4 GB, or less where the platform will not promise that much. */
export function createMemory(shared: boolean): WasmMemory {
  const { WebAssembly } = platform;
  if (WebAssembly === undefined) throw new ClozeError("INTERNAL", "This platform has no WebAssembly");
  for (let maximum = 65536; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: initialPages, maximum, shared });
    } catch (error) {
      if (maximum <= 1024) throw error;
    }
  }
}

/** What a module imports. */
export const importsOf = (memory: WasmMemory): object => ({ env: { memory }, math });

/** The parts of a backend, compiled and instantiated. */
export interface WasmParts {
  readonly isa: WasmIsa;
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  readonly instance: WasmInstance;
  /** Default 1. */
  readonly threads?: number;
}

const camelCase = (name: string): string => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** A backend of an instance. With shared memory its work is split over threads, which join as soon as they have started. */
export function createBackendOf({ isa, module, memory, instance, threads = 1 }: WasmParts): Backend {
  const { exports } = instance;
  const shared = typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer;
  const team = shared ? createThreads(module, memory, exports) : undefined;
  // Growing memory makes a new buffer.
  let bytes = new Uint8Array(memory.buffer);
  const heap = (): Uint8Array => {
    if (bytes.buffer !== memory.buffer) bytes = new Uint8Array(memory.buffer);
    return bytes;
  };
  const bytesOf = ({ buffer, byteOffset, byteLength }: TypedArray): Uint8Array =>
    new Uint8Array(buffer, byteOffset, byteLength);

  const stack = exports.__stack_pointer.value;
  /** What a trap means: the stack is as it was before, and the pool ready for the next call. */
  const afterTrap = (error: unknown): unknown => {
    const { WebAssembly } = platform;
    if (WebAssembly === undefined || !(error instanceof WebAssembly.RuntimeError)) return error;
    exports.__stack_pointer.value = stack;
    if (exports.recover() === 1) return outOfMemory();
    return new ClozeError("INTERNAL", `A WebAssembly kernel failed: ${error.message}`, { cause: error });
  };
  const allocateBytes = (size: number): number => {
    const address = exports.allocate(size);
    if (address === 0) throw outOfMemory();
    return address;
  };

  type Kernel = (...values: Pointer[]) => number;
  const withArrays = (kernel: Kernel, values: readonly Pointer[]): number => {
    const copies: number[] = [];
    try {
      const addresses = values.map((value) => {
        if (typeof value !== "object" || value === null) return value;
        const address = allocateBytes(value.byteLength);
        copies.push(address);
        heap().set(bytesOf(value), address);
        return address;
      });
      return kernel(...addresses);
    } finally {
      for (const address of copies) exports.free(address);
    }
  };
  const guarded =
    (kernel: Kernel): Kernel =>
    (...values) => {
      try {
        for (const value of values) if (typeof value === "object" && value !== null) return withArrays(kernel, values);
        return kernel(...values);
      } catch (error) {
        throw afterTrap(error);
      }
    };

  const count = exports.kernelCount();
  const firstName = exports.kernelNames();
  let end = firstName;
  for (let left = count; left > 0; end++) if (heap()[end] === 0) left--;
  const names = String.fromCharCode(...heap().slice(firstName, end - 1))
    .split("\0")
    .map(camelCase);
  const wrapped = new Uint32Array(memory.buffer, exports.wrappedKernels(), count);
  const places = new Map(names.map((name, place) => [name, place]));
  const kernels = Object.fromEntries(
    names.map((name, place) => [name, guarded(exports.__indirect_function_table.get(wrapped[place]) as Kernel)]),
  ) as unknown as Kernels;

  const run = (code: number, length: number, variables: number, most: number): void => {
    try {
      exports.runPlan(code, length, variables, most);
    } catch (error) {
      throw afterTrap(error);
    }
  };
  team?.set(threads);
  return {
    name: "wasm",
    isa: `wasm-${isa}`,
    kernels,
    plans: {
      place(kernel) {
        const place = places.get(kernel);
        if (place === undefined) throw new ClozeError("INTERNAL", `The WebAssembly module has no kernel ${kernel}`);
        return place;
      },
      run,
      beside: false,
      async runAsync(code, length, variables, most) {
        if (team === undefined) run(code, length, variables, most);
        else await team.runPlan(code, length, variables, most);
      },
    },
    allocate(count: number, dtype: DType) {
      if (dtype === "float64") {
        throw new ClozeError("DTYPE_NOT_SUPPORTED", "float64 runs on the reference backend only", {
          remedy: "Wrap the computation in withBackend(createReferenceBackend(), …), or use float32.",
        });
      }
      return allocateBytes(count * bytesPerElement[dtype]);
    },
    free: exports.free,
    read: (address, into) => bytesOf(into).set(heap().subarray(address, address + into.byteLength)),
    write: (from, address) => heap().set(bytesOf(from), address),
    copy: (from, to, count, dtype) => heap().copyWithin(to, from, from + count * bytesPerElement[dtype]),
    // WebAssembly's memory grows and never shrinks.
    trim: () => {},
    cachedBytes: exports.cachedBytes,
    threads: () => team?.count() ?? 1,
    setThreads: (count) => team?.set(count),
  };
}
