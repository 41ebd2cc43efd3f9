import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  backward,
  createAdamW,
  createSgd,
  memory,
  mul,
  type Optimizer,
  parameter,
  scope,
  sub,
  sum,
  tensor,
} from "@cloze/tensor";
import { expect, test } from "vitest";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel, type Model } from "../../families/index.js";
import { train } from "../trainer.js";
import { type AverageOptions, averageWeights } from "./average.js";
import { greedySoup, uniformSoup } from "./soup.js";

const groupsOf = (weight: ReturnType<typeof parameter>) => [
  { name: "all", parameters: new Map([["weight", weight]]), learningRate: 0.1 },
];

/** Steps towards 1; the weights after each step, and the average. */
async function run(options: AverageOptions, steps: number) {
  const weight = parameter(tensor([0, 4]));
  const frozen = parameter(tensor([7])).requireGrad(false);
  const optimizer = averageWeights(
    createSgd(groupsOf(weight)),
    new Map([
      ["weight", weight],
      ["frozen", frozen],
    ]),
    options,
  );
  const seen: number[][] = [];
  for (let step = 0; step < steps; step++) {
    scope(() => {
      const away = sub(weight, 1);
      backward(sum(mul(away, away)));
    });
    optimizer.step();
    optimizer.zeroGrad();
    seen.push(weight.toArray() as number[]);
  }
  const inside = await optimizer.withAverages(() => weight.toArray() as number[]);
  expect(weight.toArray()).toEqual(seen[steps - 1]);
  optimizer.apply();
  expect(weight.toArray()).toEqual(inside);
  expect([...optimizer.state().keys()].filter((name) => name.startsWith("frozen"))).toEqual([]);
  const { updates } = optimizer;
  for (const each of [optimizer, weight, frozen]) each.dispose();
  return { seen, average: inside, updates };
}

test("a mean of the weights from a step on, and every second one", async () => {
  const { seen, average, updates } = await run({ decay: "mean", start: 3, every: 2 }, 9);
  // After steps 4, 6 and 8.
  expect(updates).toBe(3);
  average.forEach((value, i) => {
    expect(value).toBeCloseTo((seen[3][i] + seen[5][i] + seen[7][i]) / 3, 6);
  });
});

test("an exponential average that warms up", async () => {
  const { seen, average } = await run({ decay: 0.5 }, 20);
  let expected = seen[0][1];
  for (let update = 2; update <= 20; update++) {
    const decay = Math.min(0.5, update / (9 + update));
    expected = decay * expected + (1 - decay) * seen[update - 1][1];
  }
  expect(average[1]).toBeCloseTo(expected, 5);
  const none = await run({ start: 50 }, 3);
  expect(none.average).toEqual(none.seen[2]);
});

test("a resumed run has the same averages, to the last bit", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cloze-average-"));
  const live = memory.stats().liveBytes;
  const once = async (path: string, stops: readonly (number | undefined)[]) => {
    let values: number[] = [];
    for (const stop of stops) {
      const weight = parameter(tensor([0, 4]));
      const parameters = new Map([["weight", weight]]);
      const optimizer: Optimizer & { apply(): void } = averageWeights(createAdamW(groupsOf(weight)), parameters, {
        decay: 0.9,
      });
      let batch = 0;
      const restore = (state: unknown) => {
        batch = state as number;
      };
      await train({
        parameters,
        optimizer,
        source: { next: () => batch++, state: () => batch, restore },
        loss: () => sum(mul(sub(weight, 1), sub(weight, 1))),
        steps: 12,
        folder: join(folder, path),
        checkpointMinutes: 0,
        resume: true,
        shouldStop: (step) => step === stop,
      });
      optimizer.apply();
      values = weight.toArray() as number[];
      optimizer.dispose();
      weight.dispose();
    }
    return values;
  };
  const whole = await once("whole", [undefined]);
  expect(await once("parts", [5, 9, undefined])).toEqual(whole);
  expect(memory.stats().liveBytes).toBe(live);
  rmSync(folder, { recursive: true });
});

test("states that do not belong here, and options out of range, are refused", () => {
  const weight = parameter(tensor([0, 4]));
  const parameters = new Map([["weight", weight]]);
  const plain = createAdamW(groupsOf(weight));
  const averaging = averageWeights(createAdamW(groupsOf(weight)), parameters);
  expect(() => averaging.loadState(plain.state())).toThrow(
    expect.objectContaining({ code: "OPTIMIZER_STATE_MISMATCH" }),
  );
  for (const options of [{ decay: 1 }, { every: 0 }, { start: -1 }]) {
    expect(() => averageWeights(plain, parameters, options)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION" }),
    );
  }
  for (const each of [plain, averaging, weight]) each.dispose();
});

test("soups: the mean of all, or of those that help", async () => {
  const config = uniformEncoder({ vocabularySize: 10, hiddenSize: 4, layers: 1, heads: 1 });
  const make = (seed: number): Model => createModel({ architecture: "Model", config, seed });
  const name = "encoder.embeddings.word.weight";
  const numbers = (model: Model): Float32Array => model.parameters.get(name)?.toTypedArray() as Float32Array;
  const models = [1, 2, 3].map(make);
  const [a, b, c] = models.map(numbers);
  const mean = numbers(uniformSoup(models));
  mean.forEach((value, i) => {
    expect(value).toBeCloseTo((a[i] + b[i] + c[i]) / 3, 6);
  });
  for (const model of models) model.dispose();

  const again = [1, 2, 3].map(make);
  // Closest to the mean of the first and the third: the second does not help.
  const target = a.map((value, i) => (2 * value + c[i]) / 3);
  const score = (model: Model): number => -numbers(model).reduce((sum, value, i) => sum + (value - target[i]) ** 2, 0);
  const soup = await greedySoup(again, score);
  expect(soup.members).toEqual([0, 2]);
  expect(soup.score).toBeGreaterThan(score(again[2]));
  numbers(soup.model).forEach((value, i) => {
    expect(value).toBeCloseTo((a[i] + c[i]) / 2, 6);
  });
  const other = createModel({ architecture: "Model", config: { ...config, vocabularySize: 11 } });
  expect(() => uniformSoup([again[1], other])).toThrow(expect.objectContaining({ code: "SOUP_MISMATCH" }));
  for (const model of [...again, other]) model.dispose();
});
