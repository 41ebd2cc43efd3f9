import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { prepareGemm } from "../ours/gemm.js";

const cases = [
  [1024, 768, 3072],
  [1024, 768, 768],
  [1024, 3072, 768],
  [1024, 768, 2304],
  [1024, 384, 1536],
  [32, 768, 3072],
  [1, 768, 3072],
];

/** float32 matrix products; a case is rows × inputs × outputs. Peer: OpenBLAS, and the machine's measured FMA peak. */
export async function gemm({ peersOnly, only }: Options): Promise<Row[]> {
  const openblas = harness.startPeer("openblas");
  const rows: Row[] = [];
  for (const [m, k, n] of cases) {
    const name = `${m}x${k}x${n}`;
    if (!name.includes(only)) continue;
    const a = harness.randomFloats(m * k, 1);
    const b = harness.randomFloats(k * n, 2);
    const contenders: harness.Contender[] = [];
    const job = peersOnly ? undefined : await prepareGemm(m, n, k, a, b);
    if (job !== undefined) contenders.push(harness.ourContender(job));
    if (openblas !== undefined) {
      const files = {
        a: harness.writeFloats("a.f32", a),
        b: harness.writeFloats("b.f32", b),
        out: harness.scratch("c.f32"),
      };
      const { version } = await openblas.ask({ cmd: "prepare", m, n, k, ...files });
      harness.note(`openblas: ${version}`);
      if (job?.outputs !== undefined) {
        await job.run();
        harness.compare(`gemm ${name}`, await job.outputs(), [harness.readFloats(files.out)]);
      }
      contenders.push(harness.contender(openblas));
    }
    // The peak is measured on both sides of the case, so that a change of clock or of load shows in it too.
    const before = await harness.measurePeak();
    const medians = await harness.interleave(contenders, { seconds: 8 });
    const after = await harness.measurePeak();
    job?.close?.();
    const flops = 2 * m * n * k;
    const peak = before === undefined || after === undefined ? undefined : Math.max(before, after);
    const options = { flops, peak, unit: "GFLOP/s", work: flops / 1e6 };
    rows.push(...harness.rowsOf("gemm", name, medians, options));
    if (peak !== undefined) {
      const ours = medians.get("ours");
      const rate = ours === undefined ? null : flops / 1e6 / ours;
      const part = rate === null ? null : rate / peak;
      rows.push({
        suite: "gemm",
        case: name,
        ours: rate,
        peer: peak,
        peerName: "measured peak",
        unit: "GFLOP/s",
        ratio: part,
        ofPeak: part,
      });
    }
  }
  return rows;
}
