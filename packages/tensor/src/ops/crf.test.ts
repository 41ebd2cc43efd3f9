import { expect, test } from "vitest";
import { grad } from "../autograd.js";
import { composed } from "../graph.js";
import { scope } from "../memory.js";
import { type Tensor, tensor } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, gradientCheck, sampleNumbers } from "../testing/index.js";
import { crfLogPartition, crfLoss } from "./crf.js";
import { mul } from "./elementwise.js";
import { sum } from "./reduce.js";

const offsets = (...ends: number[]) => tensor(Int32Array.of(0, ...ends));
const random = (shape: number[], seed: number): Tensor =>
  tensor(
    Float32Array.from(
      sampleNumbers(
        shape.reduce((a, b) => a * b, 1),
        seed,
      ),
    ),
    shape,
  );

/** All labellings of a sequence, with their scores. */
function enumerate(emissions: number[][], rules: number[][]): { path: number[]; score: number }[] {
  const labels = rules[0].length;
  let paths: number[][] = [[]];
  for (let t = 0; t < emissions.length; t++)
    paths = paths.flatMap((path) => Array.from({ length: labels }, (_, label) => [...path, label]));
  return paths.map((path) => {
    let score = rules[labels][path[0]] + rules[labels + 1][path[path.length - 1]];
    path.forEach((label, t) => {
      score += emissions[t][label] + (t > 0 ? rules[path[t - 1]][label] : 0);
    });
    return { path, score };
  });
}

test("the partition and the loss are those of all labellings, counted one by one", () => {
  scope(() => {
    const labels = 3;
    const emissions = random([9, labels], 1);
    const rules = random([labels + 2, labels], 2);
    const ends = [0, 4, 4, 5, 9];
    const targets = Int32Array.of(0, 2, 1, 1, 2, 0, 0, 1, 2);
    const [e, r] = [emissions.toArray() as number[][], rules.toArray() as number[][]];
    let loss = 0;
    const expected = ends.slice(1).map((end, s) => {
      if (end === ends[s]) return 0;
      const all = enumerate(e.slice(ends[s], end), r);
      const partition = Math.log(all.reduce((total, { score }) => total + Math.exp(score), 0));
      const gold = all.find(({ path }) => path.every((label, t) => label === targets[ends[s] + t]));
      loss += partition - (gold?.score ?? Number.NaN);
      return partition;
    });
    const list = tensor(Int32Array.from(ends));
    expectClose(crfLogPartition(emissions, rules, list).toTypedArray(), expected, 1e-5);
    expectClose([crfLoss(emissions, rules, targets, list).item()], [loss], 1e-5);
    expectClose([composed(() => crfLoss(emissions, rules, targets, list)).item()], [loss], 1e-5);
  });
});

test("gradients: finite differences, composed, and second derivatives", () => {
  const list = () => offsets(3, 3, 4, 6);
  gradientCheck(
    (emissions, rules) => crfLogPartition(emissions, rules, list()),
    [
      [6, 3],
      [5, 3],
    ],
  );
  gradientCheck(
    (emissions, rules) => composed(() => crfLoss(emissions, rules, Int32Array.of(0, 1, 2, 0, 1, 1), list())),
    [
      [6, 3],
      [5, 3],
    ],
  );
  gradientCheck(
    (emissions, rules) =>
      composed(() => grad([sum(crfLogPartition(emissions, rules, offsets(3)))], [rules], { createGraph: true })[0]),
    [
      [3, 2],
      [4, 2],
    ],
  );
});

test("every native build: more labels than a vector, many sequences, scores that a rule forbids", () => {
  for (const labels of [1, 2, 9, 16, 21]) {
    const ends = Array.from({ length: 20 }, (_, s) => (s + 1) * 3);
    const forbid = (rules: Tensor): Tensor => {
      const values = rules.toTypedArray();
      if (labels > 2) values[1] = Number.NEGATIVE_INFINITY;
      return tensor(values, rules.shape);
    };
    const inputs = () => ({
      emissions: mul(random([60, labels], 3), 4)
        .detach()
        .requireGrad(),
      rules: forbid(random([labels + 2, labels], 4)).requireGrad(),
    });
    expectNativeEqualsReference(() => {
      const { emissions, rules } = inputs();
      return crfLogPartition(emissions, rules, offsets(...ends));
    });
    for (const which of [0, 1]) {
      expectNativeEqualsReference(() => {
        const { emissions, rules } = inputs();
        const y = crfLogPartition(emissions, rules, offsets(...ends));
        const weights = tensor(Float32Array.from(sampleNumbers(20, 8)));
        return grad([sum(mul(y, weights))], [emissions, rules])[which];
      });
    }
  }
});

test("a thousand tokens keep their precision: shares of labels sum to 1", () => {
  scope(() => {
    const emissions = mul(random([1000, 9], 5), 5)
      .detach()
      .requireGrad();
    const rules = random([11, 9], 6).requireGrad();
    const [ge, gr] = grad([sum(crfLogPartition(emissions, rules, offsets(1000)))], [emissions, rules]);
    expectClose(sum(ge, [1]).toTypedArray(), new Array(1000).fill(1), 2e-5);
    const rows = Array.from(sum(gr, [1]).toTypedArray() as Float32Array);
    expectClose([rows.slice(0, 9).reduce((a, b) => a + b, 0), rows[9], rows[10]], [999, 1, 1], 1e-4);
  });
});

test("shapes and labels that do not fit are refused", () => {
  scope(() => {
    const emissions = random([4, 3], 1);
    const rules = random([5, 3], 2);
    const refused = (body: () => unknown, code: string) => expect(body).toThrow(expect.objectContaining({ code }));
    refused(() => crfLogPartition(emissions, random([3, 3], 1), offsets(4)), "SHAPE_MISMATCH");
    refused(() => crfLogPartition(emissions, rules, offsets(3)), "OFFSETS");
    refused(() => crfLoss(emissions, rules, Int32Array.of(0, 1, 2, 3), offsets(4)), "TARGET_OUT_OF_RANGE");
    refused(() => crfLoss(emissions, rules, Int32Array.of(0, 1), offsets(4)), "SHAPE_MISMATCH");
  });
});
