import { join } from "node:path";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { prepareEncoder } from "../ours/encoder.js";
import { encoderFlops, fullBatch, modelFolder, models, raggedBatch } from "../workload.js";

const batches: { name: string; ids: () => number[][] }[] = [
  { name: "1x32", ids: () => fullBatch(1, 32) },
  { name: "8x128", ids: () => fullBatch(8, 128) },
  { name: "32x128", ids: () => fullBatch(32, 128) },
  { name: "ragged", ids: raggedBatch },
];

/** The forward pass of two encoders. Peers: onnxruntime-node and PyTorch, which pad ragged rows to the longest. */
export async function encoder({ peersOnly, only }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  const peak = await harness.measurePeak();
  const files = Object.keys(models).flatMap((name) => [
    join(modelFolder(name), "model.safetensors"),
    join(modelFolder(name), "model.onnx"),
  ]);
  const servers = [harness.startPeer("onnxruntime-node", ...files), harness.startPeer("pytorch", ...files)];
  for (const model of Object.keys(models)) {
    for (const batch of batches) {
      const name = `${model} ${batch.name}`;
      if (!name.includes(only)) continue;
      const ids = batch.ids();
      const lengths = ids.map((row) => row.length);
      if (batch.name === "ragged") {
        const tokens = lengths.reduce((sum, length) => sum + length, 0);
        harness.note(`ragged: ${ids.length} rows, ${tokens} tokens, padded to ${ids.length * Math.max(...lengths)}`);
      }
      const contenders: harness.Contender[] = [];
      const job = peersOnly ? undefined : await prepareEncoder(modelFolder(model), ids);
      let reference: Float32Array[] | undefined;
      if (job !== undefined) {
        contenders.push(harness.ourContender(job));
        if (job.outputs !== undefined) {
          await job.run();
          reference = await job.outputs();
        }
      }
      for (const server of servers) {
        if (server === undefined) continue;
        const out = harness.scratch(`hidden-${servers.indexOf(server)}`);
        const { outputs, version } = await server.ask({ cmd: "prepare", kind: "encoder", model, ids, out });
        harness.note(`${server.name}: ${version}`);
        const theirs = outputs!.map(harness.readFloats);
        if (reference === undefined) reference = theirs;
        else harness.compare(`encoder ${name}, ${server.name}`, reference, theirs);
        contenders.push(harness.contender(server));
      }
      const medians = await harness.interleave(contenders, { seconds: 6 });
      rows.push(...harness.rowsOf("encoder", name, medians, { flops: encoderFlops(models[model], lengths), peak }));
      job?.close?.();
    }
  }
  return rows;
}
