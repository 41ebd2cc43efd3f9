// What is used of the platform's WebAssembly and workers, by name: TypeScript has these types only beside those of a whole
// browser.

/** A compiled module; it can be sent to workers. */
export type WasmModule = object;

export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
}

/** What native/wasm/binding.cpp and the linker export. */
export interface WasmExports {
  /** The address of the kernels' places in the function table. */
  wrappedKernels(): number;
  /** The address of their names, each with a 0 behind it. */
  kernelNames(): number;
  kernelCount(): number;
  runPlan(code: number, length: number, variables: number, threads: number): void;
  /** 0 when there is no memory left. */
  allocate(bytes: number): number;
  free(address: number): void;
  cachedBytes(): number;
  setThreads(count: number): void;
  /** Workers that have come. */
  workers(): number;
  /** After a trap: 1 where it was for want of memory. */
  recover(): number;
  readonly __indirect_function_table: { get(place: number): (...values: unknown[]) => number };
  readonly __stack_pointer: { value: number };
  readonly __tls_size: { readonly value: number };
}

export interface WasmInstance {
  readonly exports: WasmExports;
}

interface Platform {
  readonly WebAssembly?: {
    validate(bytes: Uint8Array): boolean;
    compile(bytes: Uint8Array): Promise<WasmModule>;
    instantiate(module: WasmModule, imports: object): Promise<WasmInstance>;
    readonly Module: new (bytes: Uint8Array) => WasmModule;
    readonly Instance: new (module: WasmModule, imports: object) => WasmInstance;
    readonly Memory: new (size: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
    readonly RuntimeError: new () => Error;
  };
  /** In a browser: whether its pages may share memory. */
  readonly crossOriginIsolated?: boolean;
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly Worker?: new (
    url: string,
  ) => {
    postMessage(message: unknown): void;
    terminate(): void;
    onmessage: ((event: { data: unknown }) => void) | null;
  };
}

export const platform = globalThis as Platform;

/** Functions that WebAssembly has no instruction for; native/wasm/include/cmath names them. */
export const math = { sin: Math.sin, cos: Math.cos, exp: Math.exp, log: Math.log, pow: Math.pow };
