import { join } from "node:path";
import { createWasmBackend, withBackend } from "@cloze/tensor";
import type { Contender, Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { prepareEncoderNow } from "../ours/encoder.js";
import { encoderFlops, fullBatch, modelFolder, models } from "../workload.js";

const model = "minilm-6x384";
const batches = [
  { name: "1x32", ids: () => fullBatch(1, 32) },
  { name: "8x128", ids: () => fullBatch(8, 128) },
];
const isas = ["relaxed", "simd"] as const;

/** The WebAssembly backend beside onnxruntime-web's, in Node, on one and on two threads. */
export async function wasm({ peersOnly, only }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  for (const threads of [1, 2]) {
    const peak = await harness.measurePeak(threads);
    const server = harness.startPeer(
      `onnxruntime-web, ${threads} thread${threads > 1 ? "s" : ""}`,
      join(modelFolder(model), "model.onnx"),
    );
    for (const batch of batches) {
      const name = `${model} ${batch.name}, ${threads} thread${threads > 1 ? "s" : ""}`;
      if (!name.includes(only)) continue;
      const ids = batch.ids();
      const contenders: Contender[] = [];
      const closing: (() => void)[] = [];
      let reference: Float32Array[] | undefined;
      for (const isa of peersOnly ? [] : isas) {
        const backend = createWasmBackend(isa, threads);
        if (backend === undefined) {
          harness.note(`WebAssembly with ${isa} instructions does not run here`);
          continue;
        }
        const job = withBackend(backend, () => prepareEncoderNow(modelFolder(model), ids));
        const own = harness.ourContender(job);
        contenders.push(contenders.length === 0 ? own : { ...own, name: `cloze, ${isa}` });
        reference ??= await job.outputs?.();
        closing.push(() => job.close?.());
      }
      if (server !== undefined) {
        const out = harness.scratch(`web-${threads}`);
        const { outputs, version } = await server.ask({ cmd: "prepare", model, ids, out });
        harness.note(`${server.name}: ${version}`);
        if (reference !== undefined) harness.compare(name, reference, outputs!.map(harness.readFloats));
        contenders.push(harness.contender(server));
      }
      const medians = await harness.interleave(contenders, { seconds: 8 });
      const flops = encoderFlops(
        models[model],
        ids.map((row) => row.length),
      );
      rows.push(...harness.rowsOf("wasm", name, medians, { flops, peak }));
      for (const close of closing) close();
    }
  }
  return rows;
}
