import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { maskedBatch, modelFolder, models } from "../workload.js";
import { heads } from "./training.js";

const run = promisify(execFile);

/** Peak resident memory of three masked-LM steps, each in a fresh process (loading the weights included). */
export async function memory({ peersOnly }: Options): Promise<Row[]> {
  const rows: Row[] = [];
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
      const { stdout } = await run(command, [...args, file], { env: environment, maxBuffer: 1 << 24 });
      const { peakBytes, librariesBytes } = JSON.parse(stdout.trim().split("\n").at(-1)!);
      if (librariesBytes !== undefined) {
        // PyPI's torch is built for CUDA: it takes more room than a build for the CPU alone would.
        harness.note(
          `transformers: about ${Math.round(librariesBytes / 2 ** 20 / 10) * 10} MiB are its libraries, before any model`,
        );
      }
      return peakBytes / 2 ** 20;
    };
    const child = fileURLToPath(new URL("../ours/memory-child.js", import.meta.url));
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
