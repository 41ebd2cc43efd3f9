import { execFile } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { fullBatch, maskedBatch, modelFolder, models } from "../workload.js";
import { heads } from "./training.js";

const run = promisify(execFile);

const child = fileURLToPath(new URL("../ours/memory-child.js", import.meta.url));

interface Memory {
  readonly peakBytes: number;
  readonly librariesBytes?: number;
  readonly runBytes: number;
}

/** The last line that a process prints, which is JSON. */
async function lastLine(command: string, args: string[], environment: NodeJS.ProcessEnv) {
  const { stdout } = await run(command, args, { env: environment, maxBuffer: 1 << 24 });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Memory;
}

/**
 * Memory of forward passes in a fresh process: by how much the passes raise it above what there was once the model was
 * loaded, and the peak of the whole process, loading included, above the bytes of the encoder's weights in float32.
 */
async function forwardMemory({ peersOnly }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  for (const model of Object.keys(models)) {
    const folder = modelFolder(model);
    const onnx = join(folder, "model.onnx");
    if (!harness.installed("onnxruntime-node", onnx)) continue;
    const file = harness.scratch("memory.json");
    writeFileSync(file, JSON.stringify({ model, folder, ids: fullBatch(8, 128), runs: 3 }));
    const take = (script: string, ...args: string[]) =>
      lastLine(process.execPath, [script, ...args, file], harness.peerEnvironment());
    const ours = peersOnly ? null : await take(child);
    const peer = await take(join(harness.root, "bench", "peers", "onnxruntime.mjs"), "--memory");
    const weights = statSync(onnx).size;
    for (const [what, bytes] of [
      ["the passes alone", (one: Memory) => one.runBytes],
      ["process above the weights", (one: Memory) => one.peakBytes - weights],
    ] as const) {
      const [a, b] = [ours === null ? null : bytes(ours) / 2 ** 20, bytes(peer) / 2 ** 20];
      const ratio = a === null ? null : b / a;
      const name = `${model} forward 8x128, ${what}`;
      rows.push({
        suite: "memory",
        case: name,
        ours: a,
        peer: b,
        peerName: "onnxruntime-node",
        unit: "MiB",
        ratio,
        ofPeak: null,
      });
    }
  }
  return rows;
}

/** Peak resident memory of three masked-LM steps, and of three forward passes, each in a fresh process. */
export async function memory(options: Options): Promise<Row[]> {
  const { peersOnly } = options;
  const rows: Row[] = await forwardMemory(options);
  for (const model of Object.keys(models)) {
    const folder = modelFolder(model);
    const job = { model, folder, steps: 3, ...maskedBatch(8, 128) };
    const peakOf = async (
      command: string,
      args: string[],
      head: string,
      environment: NodeJS.ProcessEnv,
    ): Promise<number> => {
      const file = harness.scratch("memory.json");
      writeFileSync(file, JSON.stringify({ ...job, head }));
      const { peakBytes, librariesBytes } = await lastLine(command, [...args, file], environment);
      if (librariesBytes !== undefined) {
        // PyPI's torch is built for CUDA: it takes more room than a build for the CPU alone would.
        harness.note(
          `transformers: about ${Math.round(librariesBytes / 2 ** 20 / 10) * 10} MiB are its libraries, before any model`,
        );
      }
      return peakBytes / 2 ** 20;
    };
    const ours = peersOnly ? null : await peakOf(process.execPath, [child], "masked", process.env);
    for (const { head, peerName } of heads) {
      if (!harness.installed("pytorch", join(folder, "model.safetensors"))) continue;
      const script = join(harness.root, "bench", "peers", "pytorch.py");
      const peer = await peakOf(harness.python, [script, "--memory"], head, harness.peerEnvironment());
      const ratio = ours === null ? null : peer / ours;
      rows.push({ suite: "memory", case: `${model} 8x128`, ours, peer, peerName, unit: "MiB", ratio, ofPeak: null });
    }
  }
  return rows;
}
