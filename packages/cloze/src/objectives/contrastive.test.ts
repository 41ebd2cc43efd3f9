import { backward, parameter, scope, slice, type Tensor, tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { randomSource } from "../data/random-source.js";
import { cachedContrastive, contrastiveLoss } from "./contrastive.js";

const random = randomSource(4);
const matrix = (rows: number, width: number) =>
  Array.from({ length: rows }, () => Array.from({ length: width }, () => random() * 2 - 1));

/** The formula, number by number. */
function plainLoss(q: number[][], d: number[][], temperature: number, symmetric: boolean): number {
  const unit = (x: number[]) => x.map((value) => value / Math.hypot(...x));
  const cosine = (a: number[], b: number[]) => unit(a).reduce((sum, value, i) => sum + value * unit(b)[i], 0);
  const rank = (scores: number[], right: number) =>
    Math.log(scores.reduce((sum, score) => sum + Math.exp(score / temperature), 0)) - scores[right] / temperature;
  const forward =
    q.reduce(
      (sum, x, i) =>
        sum +
        rank(
          d.map((y) => cosine(x, y)),
          i,
        ),
      0,
    ) / q.length;
  const back =
    q.reduce(
      (sum, _, i) =>
        sum +
        rank(
          q.map((x) => cosine(x, d[i])),
          i,
        ),
      0,
    ) / q.length;
  return symmetric ? (forward + back) / 2 : forward;
}

test("equals its formula, with hard negatives and without", () => {
  for (const documents of [5, 8]) {
    for (const symmetric of [true, false]) {
      const [q, d] = [matrix(5, 7), matrix(documents, 7)];
      const loss = scope(() => contrastiveLoss(tensor(q), tensor(d), { temperature: 0.2, symmetric }).item());
      expect(loss).toBeCloseTo(plainLoss(q, d, 0.2, symmetric), 5);
    }
  }
});

test("a query without its document is refused", () => {
  expect(() => contrastiveLoss(tensor(matrix(3, 4)), tensor(matrix(2, 4)))).toThrow(/at least 3/);
});

test("in parts it gives the loss and the gradients of the whole", () => {
  const [q, d] = [parameter(tensor(matrix(9, 6))), parameter(tensor(matrix(9, 6)))];
  scope(() => backward(contrastiveLoss(q, d)));
  const whole = [q, d].map((x) => x.grad?.toTypedArray());
  const loss = scope(() => contrastiveLoss(q, d).item());
  for (const x of [q, d]) {
    x.grad?.dispose();
    x.grad = undefined;
  }
  const part = (x: Tensor) => (i: number) => slice(x, [{ start: 3 * i, end: 3 * i + 3 }]);
  expect(cachedContrastive(3, part(q), part(d))).toBeCloseTo(loss, 5);
  [q, d].forEach((x, side) => {
    x.grad?.toTypedArray().forEach((value, i) => {
      expect(value).toBeCloseTo((whole[side] as Float32Array)[i], 5);
    });
  });
});
