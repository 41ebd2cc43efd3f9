import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { compile } from "../inference/compile.js";
import { shortRunsAtOnce } from "./short-runs.js";

const batchOf = (tokens: number) => packSequences([{ ids: Array.from({ length: tokens }, (_, i) => i % 50) }]);

/** A model on a clock of ours: so many milliseconds a token. */
function timed(perToken: { milliseconds: number }) {
  const config = uniformEncoder({ vocabularySize: 50, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 64 });
  const model = createModel({ architecture: "Model", config });
  const compiled = compile(model, { outputs: "pooled" });
  const runs: string[] = [];
  let now = 0;
  const take = (kind: string, tokens: number): void => {
    runs.push(`${kind} ${tokens}`);
    now += perToken.milliseconds * tokens;
  };
  const plan = shortRunsAtOnce(
    {
      ...compiled,
      async run(batch) {
        const values = await compiled.run(batch);
        take("away", batch.ids.length);
        return values;
      },
      runSync(batch) {
        take("here", batch.ids.length);
        return compiled.runSync(batch);
      },
    },
    () => now,
  );
  return { plan, runs, compiled };
}

test("short texts run here when they are alone and known to be quick, and give the same", async () => {
  const { plan, runs, compiled } = timed({ milliseconds: 0.2 });
  const batch = batchOf(8);
  const expected = compiled.runSync(batch);
  for (const alone of [true, true, false, true]) expect(await plan.run(batch, { alone })).toEqual(expected);
  await plan.run(batchOf(60), { alone: true });
  await plan.run(batchOf(8), { alone: true });
  await plan.run(batchOf(8), { alone: true });
  expect(runs).toEqual(["away 8", "here 8", "away 8", "here 8", "away 60", "away 8", "here 8"]);
});

test("a slow model never does, and one that became slow stops", async () => {
  const speed = { milliseconds: 1 };
  const { plan, runs } = timed(speed);
  for (let i = 0; i < 3; i++) await plan.run(batchOf(8), { alone: true });
  expect(runs).toEqual(["away 8", "away 8", "away 8"]);
  speed.milliseconds = 0.1;
  await plan.run(batchOf(8), { alone: true });
  await plan.run(batchOf(8), { alone: true });
  speed.milliseconds = 1;
  await plan.run(batchOf(8), { alone: true });
  await plan.run(batchOf(8), { alone: true });
  expect(runs.slice(3)).toEqual(["away 8", "here 8", "here 8", "away 8"]);
});
