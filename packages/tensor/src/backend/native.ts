// Finds and wraps the native module: the repository's own build first, then the platform package.
import type { DType, TypedArray } from "../dtype.js";
import { bytesPerElement } from "../dtype.js";
import { ClozeError } from "../errors.js";
import { nodeModule, platform } from "../host.js";
import type { Backend, Kernels } from "./contract.js";

interface NativeModule {
  readonly bestIsa: string;
  load(isa: string): { kernels: Kernels; places: Readonly<Record<string, number>>; table: number } | undefined;
  runPlan(table: number, code: number, length: number, variables: number, threads: number): void;
  runPlanAsync(table: number, code: number, length: number, variables: number, threads: number): Promise<void>;
  allocate(bytes: number): number;
  free(address: number): void;
  trim(): void;
  cachedBytes(): number;
  addressOf(array: TypedArray): number;
  copyBytes(from: number | TypedArray, to: number | TypedArray, bytes: number): void;
  threads(): number;
  setThreads(count: number): void;
}

/** Where the module may be. dist/backend/ and src/backend/ are equally deep. */
function places(): string[] {
  // A module built in another way, such as with a sanitizer (scripts/sanitize.mjs).
  const given = process.env.CLOZE_NATIVE;
  if (given !== undefined && given !== "") return [given];
  const built = nodeModule("node:url").fileURLToPath(new URL("../../native/build/cloze.node", import.meta.url));
  return [...(nodeModule("node:fs").existsSync(built) ? [built] : []), `@cloze/tensor-${platform}`];
}

const problems: string[] = [];

/** Why the modules that are there could not be loaded; empty when there is none. */
export const nativeProblems = (): readonly string[] => problems;

function findModule(): NativeModule | undefined {
  problems.length = 0;
  if (platform === "browser") return undefined;
  const require = nodeModule("node:module").createRequire(import.meta.url);
  for (const place of places()) {
    try {
      return require(place) as NativeModule;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== "MODULE_NOT_FOUND") problems.push(`${place}: ${message}`);
    }
  }
  return undefined;
}

/** The native backend, or undefined where no module fits this machine. `isa` empty means the best one. */
export function createNativeBackend(isa = ""): Backend | undefined {
  const native = findModule();
  if (native === undefined) return undefined;
  const build = native.load(isa);
  if (build === undefined) {
    throw new ClozeError("ISA_NOT_SUPPORTED", "This processor cannot run the instruction set that CLOZE_ISA asks for", {
      expected: `at most "${native.bestIsa}"`,
      received: `"${isa}"`,
      remedy: "Unset CLOZE_ISA, or name amx, avx512, avx2, neon or baseline.",
    });
  }
  return {
    name: "native",
    isa: isa || native.bestIsa,
    kernels: build.kernels,
    plans: {
      place: (kernel) => build.places[kernel],
      run: (code, length, variables, threads) => native.runPlan(build.table, code, length, variables, threads),
      beside: true,
      runAsync: (code, length, variables, threads) =>
        native.runPlanAsync(build.table, code, length, variables, threads),
    },
    allocate(count: number, dtype: DType) {
      if (dtype === "float64") {
        throw new ClozeError("DTYPE_NOT_SUPPORTED", "float64 runs on the reference backend only", {
          remedy: "Wrap the computation in withBackend(createReferenceBackend(), …), or use float32.",
        });
      }
      const address = native.allocate(count * bytesPerElement[dtype]);
      if (address === 0) {
        throw new ClozeError("OUT_OF_MEMORY", `The system has no room for ${count} elements of ${dtype}`, {
          remedy: "Use a smaller batch, shorter sequences or gradient accumulation.",
        });
      }
      return address;
    },
    free: native.free,
    addressOf: native.addressOf,
    read: (address, into) => native.copyBytes(address, into, into.byteLength),
    write: (from, address) => native.copyBytes(from, address, from.byteLength),
    copy: (from, to, count, dtype) => native.copyBytes(from, to, count * bytesPerElement[dtype]),
    trim: native.trim,
    cachedBytes: native.cachedBytes,
    threads: native.threads,
    setThreads: native.setThreads,
  };
}
