import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { type OpName, prepareOp } from "../ours/ops.js";

// The shapes of BERT-base on 8 rows of 128 tokens.
const cases: { op: OpName; shapes: number[][]; output: number[] }[] = [
  { op: "layer-norm", shapes: [[1024, 768], [768], [768]], output: [1024, 768] },
  { op: "gelu", shapes: [[1024, 3072]], output: [1024, 3072] },
  { op: "softmax", shapes: [[8 * 12 * 128, 128]], output: [8 * 12 * 128, 128] },
  {
    op: "attention",
    shapes: [
      [8, 12, 128, 64],
      [8, 12, 128, 64],
      [8, 12, 128, 64],
    ],
    output: [8, 12, 128, 64],
  },
];
const size = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

/** Single operations, forward, and forward with backward. Peer: PyTorch. */
export async function ops({ peersOnly }: Options): Promise<Row[]> {
  const pytorch = harness.startPeer("pytorch");
  const rows: Row[] = [];
  for (const { op, shapes: inputShapes, output } of cases) {
    for (const backward of [false, true]) {
      const name = `${op} ${output.join("x")} ${backward ? "forward+backward" : "forward"}`;
      const shapes = backward ? [...inputShapes, output] : inputShapes;
      const inputs = shapes.map((shape, i) => harness.randomFloats(size(shape), i + 1, 2));
      const contenders: harness.Contender[] = [];
      const job = peersOnly ? undefined : await prepareOp(op, backward, inputs, shapes);
      if (job !== undefined) contenders.push(harness.ourContender(job));
      if (pytorch !== undefined) {
        const files = inputs.map((values, i) => harness.writeFloats(`input-${i}.f32`, values));
        const out = harness.scratch("output");
        const { outputs, version } = await pytorch.ask({
          cmd: "prepare",
          kind: "op",
          op,
          backward,
          inputs: files,
          shapes,
          out,
        });
        harness.note(`pytorch: ${version}`);
        if (job?.outputs !== undefined) {
          await job.run();
          harness.compare(`ops ${name}`, await job.outputs(), outputs!.map(harness.readFloats), 2e-3);
        }
        contenders.push(harness.contender(pytorch));
      }
      rows.push(...harness.rowsOf("ops", name, await harness.interleave(contenders, { seconds: 8 })));
      job?.close?.();
    }
  }
  return rows;
}
