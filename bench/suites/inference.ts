import { join } from "node:path";
import type { Contender, Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { type EncoderJob, type EncoderWork, prepareEncoder } from "../ours/encoder.js";
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
    // A large model takes a second to load: each kind is made once, for all batches, and float32 once for all kinds.
    let dense: EncoderJob | undefined;
    for (const { name: kind, work, peer } of works) {
      const chosen = batches
        .map((batch) => ({ ids: batch.ids(), name: `${model} ${batch.name} ${kind}` }))
        .filter(({ name }) => name.includes(only));
      if (chosen.length === 0) continue;
      const special = peersOnly ? undefined : await prepareEncoder(modelFolder(model), chosen[0].ids, work);
      if (!peersOnly) dense ??= await prepareEncoder(modelFolder(model), chosen[0].ids);
      for (const { ids, name } of chosen) {
        const contenders: Contender[] = [];
        if (special !== undefined && dense !== undefined) {
          const [ours, whole] = [special.on(ids), dense.on(ids)];
          contenders.push(harness.ourContender(ours), { ...harness.ourContender(whole), name: "cloze float32" });
          if (kind === "int8") {
            const [[a], [b]] = [await ours.outputs!(), await whole.outputs!()];
            harness.note(`${name}: cosine to float32 ${cosine(a, b).toFixed(5)}`);
          }
        }
        if (server !== undefined && peer !== undefined) {
          const out = harness.scratch("int8");
          await server.ask({ cmd: "prepare", kind: "encoder", model, file: peer.file, ids, out });
          contenders.push(harness.contender(server, peer.name));
        }
        if (contenders.length < 2) continue;
        const flops = encoderFlops(
          models[model],
          ids.map((row) => row.length),
        );
        const medians = await harness.interleave(contenders, { seconds: 1 });
        rows.push(...harness.rowsOf("inference", name, medians, { flops, peak }));
      }
      special?.close?.();
    }
    dense?.close?.();
  }
  if (peersOnly) return rows;
  const table: string[] = [];
  for (const [n, k] of products) {
    for (const { block, products: of } of blockProducts) {
      // The least sparsity of those tried from which on blocks are faster, for the table at the end.
      let evenAt: number | undefined;
      let slower = false;
      for (const sparsity of [0.9, 0.8, 0.7, 0.6, 0.5]) {
        const name = `1024x${k}x${n} ${block} ${Math.round(100 * sparsity)} %`;
        if (slower || !name.includes(only)) continue;
        const { sparse, dense, close } = of(n, k, sparsity);
        const contenders = [
          harness.ourContender({ run: sparse }),
          { ...harness.ourContender({ run: dense }), name: "cloze dense" },
        ];
        const medians = await harness.interleave(contenders, { seconds: 0.2, minimumRounds: 2, rest: 0 });
        const [row] = harness.rowsOf("inference", name, medians);
        rows.push(row);
        // With fewer zeros it is slower still.
        slower = (row.ratio ?? 0) < 1;
        if (!slower) evenAt = sparsity;
        close();
      }
      const even = evenAt === undefined ? "not up to 90 %" : `from ${Math.round(100 * evenAt)} % on`;
      table.push(`${`${k}x${n}`.padEnd(10)} ${block.padEnd(22)} ${even}`);
    }
  }
  if (only === "") harness.note(["Blocks are faster than the dense product of the same kind:", ...table].join("\n"));
  return rows;
}
