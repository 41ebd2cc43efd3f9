import { expect, test } from "vitest";
import { type Backend, createReferenceBackend, withBackend } from "../backend/index.js";
import { createRandom, randomNormal } from "../random.js";
import { tensor } from "../tensor.js";
import { kernelBuilds } from "../testing/index.js";
import { createPlanBuilder } from "./builder.js";

const builds = [...kernelBuilds(), { isa: "reference", backend: createReferenceBackend() }];

for (const { isa, backend } of builds) {
  test.skipIf(backend === undefined)(`${isa}: a weight of 4-bit codes is the weight that the codes stand for`, () => {
    withBackend(backend as Backend, () => {
      for (const [m, n, k] of [
        [1, 1, 1],
        [2, 33, 7],
        [13, 40, 65],
        [30, 40, 70],
      ]) {
        const random = createRandom(m + n + k);
        const codes = Int8Array.from({ length: n * k }, () => Math.floor(16 * random.uniform()));
        const steps = Float32Array.from({ length: n }, () => 0.01 + random.uniform());
        const least = Float32Array.from({ length: n }, () => random.uniform() - 2);
        const weight = tensor(
          Float32Array.from(codes, (code, i) => code * steps[Math.floor(i / k)] + least[Math.floor(i / k)]),
          [n, k],
        );
        const [table, bias] = [[m, k], [n]].map((shape, i) => randomNormal(shape, { seed: i + 1 }));
        const ids = Int32Array.from({ length: m }, (_, i) => i);
        const batch = { ids, segments: new Int32Array(m), positions: ids, offsets: Int32Array.of(0, m) };
        const activation = m === 13 ? "quickGelu" : "gelu";
        const result = (coded: boolean): Float32Array => {
          const builder = createPlanBuilder();
          const x = builder.take(table, builder.inputs.ids);
          const y = coded
            ? builder.linearInt4(x, { codes, steps, least }, bias, { activation })
            : builder.linear(x, weight, bias, { activation });
          const plan = builder.build(y);
          const values = plan.run(batch);
          plan.close();
          return values;
        };
        const [exact, close] = [result(false), result(true)];
        // Codes of activations are off by at most half of 1/255 of a row's range.
        const rowsOff = Float64Array.from({ length: m }, (_, row) => {
          const values = table.toTypedArray().slice(row * k, (row + 1) * k);
          return ((Math.max(0, ...values) - Math.min(0, ...values)) / 255) * 0.51;
        });
        const weights = weight.toTypedArray();
        close.forEach((value, i) => {
          const row = weights.slice((i % n) * k, ((i % n) + 1) * k);
          const bound = rowsOff[Math.floor(i / n)] * Array.from(row).reduce((sum, each) => sum + Math.abs(each), 0);
          expect(Math.abs(value - exact[i])).toBeLessThan(1.2 * bound + 1e-4);
        });
      }
    });
  });
}
