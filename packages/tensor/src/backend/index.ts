// Which backend runs. Chosen once at first use: native where it fits, else the reference, with one line that says so.
import { debugging } from "../debugging.js";
import { ClozeError } from "../errors.js";
import type { Backend } from "./contract.js";
import { createNativeBackend, nativeProblems } from "./native.js";
import { createReferenceBackend } from "./reference.js";

const known = ["", "avx512", "avx2", "neon", "baseline", "reference"];
let current: Backend | undefined;

function choose(): Backend {
  const isa = process.env.CLOZE_ISA ?? "";
  if (!known.includes(isa)) {
    throw new ClozeError("ISA_NOT_SUPPORTED", "CLOZE_ISA names no instruction set", {
      expected: known.slice(1).join(", "),
      received: `"${isa}"`,
    });
  }
  const native = isa === "reference" ? undefined : createNativeBackend(isa);
  if (native !== undefined) return native;
  if (isa !== "reference") {
    process.emitWarning(
      `No native module fits this machine (${process.platform}-${process.arch}): the plain TypeScript backend runs instead, ` +
        "correct but a hundred times slower. npm installs the module with @cloze/tensor where there is one, unless optional " +
        "packages are left out; in the repository `npm run build:native` builds it with a C++ compiler.",
      { code: "CLOZE_SLOW_BACKEND", detail: nativeProblems().join("\n") || undefined },
    );
  }
  return createReferenceBackend();
}

/** The backend in use. */
export function backend(): Backend {
  if (current === undefined) {
    current = choose();
    if (debugging)
      process.stderr.write(`cloze: ${current.name} kernels, ${current.isa}, ${current.threads()} threads\n`);
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
