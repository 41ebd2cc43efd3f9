// Which backend runs. Chosen once at first use: native where it fits, else WebAssembly, else the reference, with one line
// that says so where it is not native.
import { debugging } from "../debugging.js";
import { ClozeError } from "../errors.js";
import { debug, environmentVariable, platform, warn } from "../host.js";
import type { Backend } from "./contract.js";
import { createNativeBackend, nativeProblems } from "./native.js";
import { createReferenceBackend } from "./reference.js";
import type { WasmIsa } from "./wasm/features.js";
import { createWasmBackend } from "./wasm/load.js";

const wasm = ["wasm", "wasm-relaxed", "wasm-simd"];
const known = ["", "amx", "avx512", "avx2", "neon", "baseline", ...wasm, "reference"];
let current: Backend | undefined;

function chooseWasm(isa: string): Backend {
  const chosen = createWasmBackend(isa.slice("wasm-".length) as WasmIsa | "");
  if (chosen !== undefined) return chosen;
  throw new ClozeError("ISA_NOT_SUPPORTED", "The WebAssembly that CLOZE_ISA asks for does not run here", {
    received: `"${isa}"`,
    remedy: "Unset CLOZE_ISA, or name wasm-simd or reference.",
  });
}

function choose(): Backend {
  const isa = environmentVariable("CLOZE_ISA") ?? "";
  if (!known.includes(isa)) {
    throw new ClozeError("ISA_NOT_SUPPORTED", "CLOZE_ISA names no instruction set", {
      expected: known.slice(1).join(", "),
      received: `"${isa}"`,
    });
  }
  if (isa === "reference") return createReferenceBackend();
  if (wasm.includes(isa)) return chooseWasm(isa);
  const native = createNativeBackend(isa);
  if (native !== undefined) return native;
  const portable = createWasmBackend();
  // A browser has nothing better.
  if (portable !== undefined && platform === "browser") return portable;
  warn(
    `No native module fits this machine (${platform}): the ${
      portable === undefined
        ? "plain TypeScript backend runs instead, correct but a hundred times slower"
        : "WebAssembly backend runs instead, correct but slower"
    }. npm installs the module with @cloze/tensor where there is one, unless optional packages are left out; in the ` +
      "repository `npm run build:native` builds it with a C++ compiler.",
    { code: "CLOZE_SLOW_BACKEND", detail: nativeProblems().join("\n") || undefined },
  );
  return portable ?? createReferenceBackend();
}

/** The backend in use. */
export function backend(): Backend {
  if (current === undefined) {
    current = choose();
    if (debugging) debug(`cloze: ${current.name} kernels, ${current.isa}, ${current.threads()} threads`);
  }
  return current;
}

/** Runs a function on another backend. Tensors of one backend cannot be used on another. */
export function withBackend<T>(other: Backend, body: () => T): T {
  const previous = current;
  current = other;
  try {
    return body();
  } finally {
    current = previous;
  }
}

export type { Backend, Kernels, Pointer } from "./contract.js";
export { createNativeBackend } from "./native.js";
export { createReferenceBackend } from "./reference.js";
export type { WasmIsa } from "./wasm/features.js";
export { createWasmBackend, fetchWasm } from "./wasm/load.js";
