// Where the modules of the WebAssembly backend come from: a file in Node, at once; a URL in a browser, beforehand.
import { ClozeError } from "../../errors.js";
import { files } from "../../files.js";
import { environmentVariable, nodeModule } from "../../host.js";
import type { Backend } from "../contract.js";
import { createBackendOf, createMemory, importsOf } from "../wasm.js";
import { supportsIsa, supportsThreads, type WasmIsa, wasmIsas } from "./features.js";
import { unshared } from "./unshared.js";
import { platform, type WasmModule } from "./web-assembly.js";

const compiled = new Map<WasmIsa, WasmModule>();
const fileName = (isa: WasmIsa): string => `cloze-${isa}.wasm`;

/** dist/backend/wasm/ and src/backend/wasm/ are equally deep. */
const fileOf = (isa: WasmIsa): URL => new URL(`../../../wasm/${fileName(isa)}`, import.meta.url);

function moduleOf(isa: WasmIsa): WasmModule | undefined {
  const known = compiled.get(isa);
  if (known !== undefined) return known;
  const { WebAssembly } = platform;
  if (nodeModule("node:fs") === undefined || WebAssembly === undefined) return undefined;
  if (!supportsIsa(isa) || !files.existsSync(fileOf(isa))) return undefined;
  const module = new WebAssembly.Module(files.readFileSync(fileOf(isa)));
  compiled.set(isa, module);
  return module;
}

function defaultThreads(): number {
  const system = nodeModule("node:os");
  const here = system === undefined ? (platform.navigator?.hardwareConcurrency ?? 1) : system.availableParallelism();
  const wanted = environmentVariable("CLOZE_THREADS");
  return wanted === undefined ? here : Math.max(1, Number.parseInt(wanted, 10) || 1);
}

/**
 * Gets a module of the WebAssembly backend ready in a browser, before anything else is done. What it needs is one file,
 * `cloze-relaxed.wasm` or `cloze-simd.wasm` of this package's folder `wasm/`. Pages that are cross-origin isolated run it on
 * several threads, others on one.
 *
 * @param folder where the two files lie: a URL that ends in a slash
 * @param isa an instruction set, or "" for the best that runs here
 * @throws WASM_NOT_SUPPORTED, FETCH_FAILED
 */
export async function fetchWasm(folder: string | URL, isa: WasmIsa | "" = ""): Promise<void> {
  const { WebAssembly } = platform;
  const chosen = (isa === "" ? wasmIsas : [isa]).find(supportsIsa);
  if (WebAssembly === undefined || chosen === undefined) {
    throw new ClozeError("WASM_NOT_SUPPORTED", "This browser has no WebAssembly with 128-bit vectors", {
      remedy: "Use a browser of 2023 or later.",
    });
  }
  if (compiled.has(chosen)) return;
  const url = new URL(fileName(chosen), folder);
  const response = await fetch(url);
  if (!response.ok) throw new ClozeError("FETCH_FAILED", `${url} answered ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  compiled.set(chosen, await WebAssembly.compile(supportsThreads() ? bytes : unshared(bytes)));
}

/**
 * The WebAssembly backend, with memory of its own, or undefined where its modules are missing or cannot run. A browser gets
 * them with `fetchWasm` first.
 *
 * @param isa "relaxed" (multiplies and adds at once), "simd", or "" for the best that runs here
 * @param threads default: `CLOZE_THREADS`, else as many as the machine runs at once
 */
export function createWasmBackend(isa: WasmIsa | "" = "", threads: number = defaultThreads()): Backend | undefined {
  for (const candidate of isa === "" ? wasmIsas : [isa]) {
    const module = moduleOf(candidate);
    const { WebAssembly } = platform;
    if (module === undefined || WebAssembly === undefined) continue;
    const memory = createMemory(supportsThreads());
    const instance = new WebAssembly.Instance(module, importsOf(memory));
    return createBackendOf({ isa: candidate, module, memory, instance, threads });
  }
  return undefined;
}
