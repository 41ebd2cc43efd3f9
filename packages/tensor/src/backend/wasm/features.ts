// What this WebAssembly can run, found by asking it to validate the smallest module that needs it.
import { nodeModule } from "../../host.js";
import { platform } from "./web-assembly.js";

/** Instruction sets by name, best first: a module each, wasm/cloze-<name>.wasm. */
export const wasmIsas = ["relaxed", "simd"] as const;
export type WasmIsa = (typeof wasmIsas)[number];

/** A module whose only function takes vectors, runs these instructions on them and returns one. */
const probe = (parameters: number, ...instructions: number[]): Uint8Array => {
  const [i32, vector] = [0x7f, 0x7b];
  const types = [1, 0x60, parameters, ...Array<number>(parameters).fill(vector), 1, parameters > 0 ? vector : i32];
  const locals = Array.from({ length: parameters }, (_, i) => [0x20, i]).flat();
  const body = [0, ...locals, ...instructions, 0x0b];
  const section = (id: number, content: number[]) => [id, content.length, ...content];
  const header = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const code = section(10, [1, body.length, ...body]);
  return Uint8Array.from([...header, ...section(1, types), ...section(3, [1, 0]), ...code]);
};
const probes: Readonly<Record<WasmIsa, Uint8Array>> = {
  simd: probe(2, 0xfd, 0xe4, 0x01), // f32x4.add
  relaxed: probe(3, 0xfd, 0x85, 0x02), // f32x4.relaxed_madd
};

const valid = (isa: WasmIsa): boolean => platform.WebAssembly?.validate(probes[isa]) ?? false;

/** Whether modules of an instruction set can be compiled here. */
export function supportsIsa(isa: WasmIsa): boolean {
  if (valid(isa)) return true;
  if (isa !== "relaxed") return false;
  // Node 20 has the finished instructions behind a flag that Node 22 no longer needs.
  nodeModule("node:v8")?.setFlagsFromString("--experimental-wasm-relaxed-simd");
  return valid(isa);
}

/** Whether memory can be shared with workers: always in Node; in a browser, where its page is isolated from other origins. */
export const supportsThreads = (): boolean =>
  typeof SharedArrayBuffer !== "undefined" && (platform.crossOriginIsolated ?? true);
