import { join } from "node:path";
import type { Contender, Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { type EncoderWork, prepareEncoder } from "../ours/encoder.js";
import { sparseProduct } from "../ours/sparse.js";
import { sparseInt8Product } from "../ours/sparse-int8.js";
import { encoderFlops, fullBatch, modelFolder, models } from "../workload.js";

const batches = [
  { name: "1x32", ids: () => fullBatch(1, 32) },
  { name: "8x128", ids: () => fullBatch(8, 128) },
];
const works: { name: string; work: EncoderWork; peer?: { name: string; file: string } }[] = [
  { name: "int8", work: { weights: "int8" }, peer: { name: "onnxruntime-node int8", file: "model_int8.onnx" } },
  { name: "sparse 80 %", work: { weights: "sparse", sparsity: 0.8 } },
  { name: "sparse 90 %", work: { weights: "sparse", sparsity: 0.9 } },
  { name: "sparse-int8 80 %", work: { weights: "sparse-int8", sparsity: 0.8 } },
  { name: "sparse-int8 90 %", work: { weights: "sparse-int8", sparsity: 0.9 } },
];
const products = [
  [768, 768],
  [3072, 768],
  [768, 3072],
] as const;

/** Products of pruned weights, each beside the dense one of its kind. Blocks are outputs x inputs. */
const blockProducts = [
  ...([16, 4, 1] as const).map((height) => ({
    block: `float32 ${height}x1`,
    products: (n: number, k: number, sparsity: number) => sparseProduct(1024, n, k, height, sparsity),
  })),
  ...([16, 4, 1] as const).map((height) => ({
    block: `int8 ${height}x1`,
    products: (n: number, k: number, sparsity: number) =>
      sparseInt8Product(1024, n, k, [height, 1], { height, runs: false }, sparsity),
  })),
  {
    block: "int8 1x16",
    products: (n: number, k: number, sparsity: number) =>
      sparseInt8Product(1024, n, k, [1, 16], { height: 1, runs: true }, sparsity),
  },
];

const cosine = (a: Float32Array, b: Float32Array): number => {
  let [dot, x, y] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    x += a[i] * a[i];
    y += b[i] * b[i];
  }
  return dot / Math.sqrt(x * y);
};

/** Compressed encoders beside our own float32 and, where it has the same, onnxruntime-node; and sparse products by block. */
export async function inference({ peersOnly, only }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  const peak = await harness.measurePeak();
  const server = harness.startPeer("onnxruntime-node", join(modelFolder("bert-base"), "model_int8.onnx"));
  for (const model of Object.keys(models)) {
    for (const batch of batches) {
      const ids = batch.ids();
      const flops = encoderFlops(
        models[model],
        ids.map((row) => row.length),
      );
      for (const { name: kind, work, peer } of works) {
        const name = `${model} ${batch.name} ${kind}`;
        if (!name.includes(only)) continue;
        const contenders: Contender[] = [];
        const closing: (() => void)[] = [];
        if (!peersOnly) {
          const ours = await prepareEncoder(modelFolder(model), ids, work);
          const dense = await prepareEncoder(modelFolder(model), ids);
          contenders.push(harness.ourContender(ours), { ...harness.ourContender(dense), name: "cloze float32" });
          if (kind === "int8") {
            const [[a], [b]] = [await ours.outputs!(), await dense.outputs!()];
            harness.note(`${name}: cosine to float32 ${cosine(a, b).toFixed(5)}`);
          }
          closing.push(
            () => ours.close?.(),
            () => dense.close?.(),
          );
        }
        if (server !== undefined && peer !== undefined) {
          await server.ask({
            cmd: "prepare",
            kind: "encoder",
            model,
            file: peer.file,
            ids,
            out: harness.scratch("int8"),
          });
          contenders.push(harness.contender(server, peer.name));
        }
        if (contenders.length > 1) {
          const medians = await harness.interleave(contenders, { seconds: 1.5 });
          rows.push(...harness.rowsOf("inference", name, medians, { flops, peak }));
        }
        for (const close of closing) close();
      }
    }
  }
  if (peersOnly) return rows;
  const table: string[] = [];
  for (const [n, k] of products) {
    for (const { block, products: of } of blockProducts) {
      // The least sparsity of those tried from which on blocks are faster, for the table at the end.
      let evenAt: number | undefined;
      for (const sparsity of [0.5, 0.6, 0.7, 0.8, 0.9]) {
        const name = `1024x${k}x${n} ${block} ${Math.round(100 * sparsity)} %`;
        if (!name.includes(only)) continue;
        const { sparse, dense, close } = of(n, k, sparsity);
        const contenders = [
          harness.ourContender({ run: sparse }),
          { ...harness.ourContender({ run: dense }), name: "cloze dense" },
        ];
        const medians = await harness.interleave(contenders, { seconds: 0.2, rest: 0 });
        const [row] = harness.rowsOf("inference", name, medians);
        rows.push(row);
        if ((row.ratio ?? 0) >= 1) evenAt ??= sparsity;
        else evenAt = undefined;
        close();
      }
      const even = evenAt === undefined ? "not up to 90 %" : `from ${Math.round(100 * evenAt)} % on`;
      table.push(`${`${k}x${n}`.padEnd(10)} ${block.padEnd(22)} ${even}`);
    }
  }
  if (only === "") harness.note(["Blocks are faster than the dense product of the same kind:", ...table].join("\n"));
  return rows;
}
