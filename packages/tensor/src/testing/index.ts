// Helpers for tests of operations: gradients against finite differences, backends against each other. Not public.
import { grad } from "../autograd.js";
import {
  type Backend,
  createNativeBackend,
  createReferenceBackend,
  createWasmBackend,
  withBackend,
} from "../backend/index.js";
import { type WasmIsa, wasmIsas } from "../backend/wasm/features.js";
import type { TypedArray } from "../dtype.js";
import { platform } from "../host.js";
import { scope } from "../memory.js";
import { mul } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import { elementCount, type Shape } from "../shape.js";
import { type Tensor, tensor } from "../tensor.js";

/** Deterministic numbers, about normal, never close to 0. */
export function sampleNumbers(count: number, seed = 1): Float64Array {
  let state = seed * 2654435761;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = (state / 4294967296) * 4 - 2;
    return value + Math.sign(value) * 0.15;
  });
}

/** Throws with the place of the largest difference unless |a - b| <= tolerance x max(1, |b|). */
export function expectClose(
  received: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = "",
): void {
  if (received.length !== expected.length)
    throw new Error(`${what}: ${received.length} numbers, expected ${expected.length}`);
  for (let i = 0; i < expected.length; i++) {
    const same = Object.is(received[i], expected[i]) || received[i] === expected[i];
    const error = Math.abs(received[i] - expected[i]);
    if (!same && !(error <= tolerance * Math.max(1, Math.abs(expected[i])))) {
      throw new Error(`${what} [${i}]: ${received[i]}, expected ${expected[i]} (difference ${error})`);
    }
  }
}

/** Checks the gradients of a function of tensors against central differences, in float64 on the reference backend. */
export function gradientCheck(
  f: (...inputs: Tensor[]) => Tensor,
  shapes: readonly Shape[],
  { seed = 1, positive = false, tolerance = 1e-6 } = {},
): void {
  // The reference is the same everywhere: once is enough.
  if (platform === "browser") return;
  withBackend(createReferenceBackend(), () => {
    const values = shapes.map((shape, i) => {
      const numbers = sampleNumbers(elementCount(shape), seed + i);
      return positive ? numbers.map((x) => Math.abs(x) + 0.1) : numbers;
    });
    const weightsFor = (y: Tensor) => tensor(sampleNumbers(y.size, 99), y.shape);
    const loss = (inputs: Tensor[]): Tensor => {
      const y = f(...inputs);
      return sum(mul(y, weightsFor(y)));
    };
    const inputs = values.map((value, i) => tensor(value, shapes[i]).requireGrad());
    const gradients = grad([loss(inputs)], inputs);
    values.forEach((value, which) => {
      const numeric = value.map((_, i) => {
        const at = (step: number) =>
          scope(() => {
            const moved = values.map((v, j) => (j === which ? v.map((x, l) => (l === i ? x + step : x)) : v));
            // They want gradients too, because a function under test may itself differentiate.
            return loss(moved.map((v, j) => tensor(v, shapes[j]).requireGrad())).item();
          });
        return (at(1e-5) - at(-1e-5)) / 2e-5;
      });
      expectClose(gradients[which].toTypedArray(), numeric, tolerance, `gradient of input ${which}`);
    });
  });
}

/** Kept, because each has memory and threads of its own. */
const wasmBackends = new Map<WasmIsa, Backend | undefined>();

/** The WebAssembly backends that this machine can run. */
export const wasmBackendsHere = (): Backend[] =>
  wasmIsas.flatMap((isa) => {
    if (!wasmBackends.has(isa)) wasmBackends.set(isa, createWasmBackend(isa));
    return wasmBackends.get(isa) ?? [];
  });

/** A build of the kernels by its name; without a backend where it does not run here, so that tests of it can be skipped. */
export interface KernelBuild {
  readonly isa: string;
  readonly backend: Backend | undefined;
}

const nativeIsas = ["amx", "avx512", "avx2", "baseline"];

/** Undefined where the processor lacks the instructions, or there is no native module. */
function nativeBackendHere(isa: string): Backend | undefined {
  if (platform === "browser") return undefined;
  try {
    return createNativeBackend(isa);
  } catch (error) {
    if ((error as { code?: string }).code === "ISA_NOT_SUPPORTED") return undefined;
    throw error;
  }
}

/** Every build of the kernels, native and WebAssembly: `for (…) test.skipIf(backend === undefined)(…)`. */
export const kernelBuilds = (): KernelBuild[] => [
  ...nativeIsas.map((isa) => ({ isa, backend: nativeBackendHere(isa) })),
  ...wasmIsas.map((name) => {
    const isa = `wasm-${name}`;
    return { isa, backend: wasmBackendsHere().find((wasm) => wasm.isa === isa) };
  }),
];

/**
 * Runs a function on the reference backend, and on every build for this machine's processor and for WebAssembly that this
 * machine can run; results must agree.
 */
export function expectNativeEqualsReference(f: () => Tensor, tolerance = 2e-5): void {
  const run = (): TypedArray => scope(() => f().toTypedArray());
  const expected = withBackend(createReferenceBackend(), run);
  for (const wasm of wasmBackendsHere()) expectClose(withBackend(wasm, run), expected, tolerance, wasm.isa);
  const natives = nativeIsas.flatMap((isa) => nativeBackendHere(isa) ?? []);
  if (natives.length === 0 && platform !== "browser")
    throw new Error("The native module is not built: run npm run build:native");
  for (const native of natives) expectClose(withBackend(native, run), expected, tolerance, native.isa);
}
