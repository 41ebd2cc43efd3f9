import { join } from "node:path";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { prepareEncoder } from "../ours/encoder.js";
import { encoderFlops, fullBatch, modelFolder, models, raggedBatch } from "../workload.js";

/** `only`: the models whose positions reach that far. `sorted`: onnxruntime also with rows sorted by length, eight at a time. */
const batches: { name: string; ids: () => number[][]; only?: string; sorted?: number }[] = [
  { name: "1x32", ids: () => fullBatch(1, 32) },
  { name: "8x128", ids: () => fullBatch(8, 128) },
  { name: "32x128", ids: () => fullBatch(32, 128) },
  { name: "ragged", ids: raggedBatch, sorted: 8 },
  { name: "1x2000", ids: () => fullBatch(1, 2000), only: "minilm-6x384" },
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
      if (!name.includes(only) || (batch.only ?? model) !== model) continue;
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
      const sorting = batch.sorted === undefined ? undefined : harness.startPeer("onnxruntime-node", ...files);
      if (sorting !== undefined) {
        const { sorted } = batch;
        const prepare = { cmd: "prepare", kind: "encoder", model, ids, sorted, out: harness.scratch("hidden-sorted") };
        const { outputs } = await sorting.ask(prepare);
        harness.compare(`encoder ${name}, sorted`, reference!, outputs!.map(harness.readFloats));
        contenders.push(harness.contender(sorting, `onnxruntime-node, sorted by length, ${sorted} at a time`));
      }
      const medians = await harness.interleave(contenders, { seconds: 6 });
      rows.push(...harness.rowsOf("encoder", name, medians, { flops: encoderFlops(models[model], lengths), peak }));
      job?.close?.();
      sorting?.close();
    }
  }
  return rows;
}
