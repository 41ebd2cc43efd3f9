// The WebAssembly backend in Node: its module comes from a file, and everything happens at once.
import { environmentVariable, nodeModule } from "../../host.js";
import type { Backend } from "../contract.js";
import { createBackendOf, createMemory, importsOf } from "../wasm.js";
import { supportsIsa, type WasmIsa, wasmIsas } from "./features.js";
import { platform, type WasmModule } from "./web-assembly.js";

const compiled = new Map<WasmIsa, WasmModule>();

/** dist/backend/wasm/ and src/backend/wasm/ are equally deep. */
const fileOf = (isa: WasmIsa): URL => new URL(`../../../wasm/cloze-${isa}.wasm`, import.meta.url);

function moduleOf(isa: WasmIsa): WasmModule | undefined {
  const known = compiled.get(isa);
  if (known !== undefined) return known;
  const files = nodeModule("node:fs");
  const { WebAssembly } = platform;
  if (files === undefined || WebAssembly === undefined || !supportsIsa(isa) || !files.existsSync(fileOf(isa)))
    return undefined;
  const module = new WebAssembly.Module(files.readFileSync(fileOf(isa)));
  compiled.set(isa, module);
  return module;
}

function defaultThreads(): number {
  const wanted = environmentVariable("CLOZE_THREADS");
  if (wanted === undefined) return nodeModule("node:os").availableParallelism();
  return Math.max(1, Number.parseInt(wanted, 10) || 1);
}

/**
 * The WebAssembly backend in Node, with memory of its own, or undefined where its modules are missing or cannot run.
 *
 * @param isa "relaxed" (fused multiplication and addition), "simd", or "" for the best that runs here
 * @param threads default: `CLOZE_THREADS`, else as many as the machine runs at once
 */
export function createWasmBackend(isa: WasmIsa | "" = "", threads: number = defaultThreads()): Backend | undefined {
  for (const candidate of isa === "" ? wasmIsas : [isa]) {
    const module = moduleOf(candidate);
    const { WebAssembly } = platform;
    if (module === undefined || WebAssembly === undefined) continue;
    const memory = createMemory(true);
    const instance = new WebAssembly.Instance(module, importsOf(memory));
    return createBackendOf({ isa: candidate, module, memory, instance, threads });
  }
  return undefined;
}
