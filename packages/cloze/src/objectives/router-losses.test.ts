// Losses of routers (arXiv 2401.15713): the values that can be told without a computer, and gradients.
import { backward, parameter, scope, softmax, tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { balanceLoss, informationLoss, routerLoss } from "./router-losses.js";

const value = (make: () => { item(): number } | undefined): number => scope(() => make()?.item() ?? Number.NaN);
/** Every expert a quarter of the rows, with nearly uniform probabilities. */
const uniform = (): number[][] =>
  Array.from({ length: 8 }, (_, row) => [0, 1, 2, 3].map((i) => (i === row % 4 ? 1e-4 : 0)));

test("balance of uniform routing is its weight", () => {
  expect(value(() => balanceLoss(tensor(uniform())))).toBeCloseTo(1, 6);
  const fields = new Int32Array(8);
  expect(value(() => routerLoss([tensor(uniform())], fields, { balance: 0.05 }))).toBeCloseTo(0.05, 7);
  const all = Array.from({ length: 8 }, () => [9, 0, 0, 0]);
  expect(value(() => balanceLoss(tensor(all)))).toBeGreaterThan(3.9);
});

test("information is -log N for an expert of each field, 0 where routing knows no field", () => {
  const fields = Int32Array.of(0, 1, 2, 0, 1, 2);
  const own = Array.from(fields, (field) => [0, 1, 2].map((i) => Number(i === field)));
  expect(value(() => informationLoss(tensor(own), fields))).toBeCloseTo(-Math.log(3), 6);
  const same = Array.from(fields, () => [0.5, 0.3, 0.2]);
  expect(value(() => informationLoss(tensor(same), fields))).toBeCloseTo(0, 6);
});

test("information has a gradient, that of finite differences", () => {
  const fields = Int32Array.of(0, 1, 0, 1);
  const start = [0.3, -0.2, 0.1, 0.5, 0.9, -0.4, -0.3, 0.2];
  const at = (values: number[]) => value(() => informationLoss(softmax(tensor(values).view([4, 2])), fields));
  const leaf = parameter(tensor(start).view([4, 2]));
  scope(() => backward(informationLoss(softmax(leaf), fields)));
  const gradient = leaf.grad?.toTypedArray() ?? [];
  for (let i = 0; i < 8; i++) {
    const moved = (step: number) => start.map((x, j) => (j === i ? x + step : x));
    expect((at(moved(0.01)) - at(moved(-0.01))) / 0.02).toBeCloseTo(gradient[i], 4);
  }
  expect(Math.max(...Array.from(gradient, Math.abs))).toBeGreaterThan(0.01);
});

test("nothing asked is nothing", () => {
  expect(routerLoss([], new Int32Array(0), { specified: 1 })).toBeUndefined();
  expect(routerLoss([tensor([[1, 2]])], new Int32Array(1), {})).toBeUndefined();
});
