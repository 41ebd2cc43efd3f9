import { uniformEncoder } from "cloze";
import { expect, test } from "vitest";
import { stepsInTime } from "./equal-time.js";

const encoder = uniformEncoder({ vocabularySize: 64, hiddenSize: 64, layers: 2, heads: 2, maxPositions: 32 });
const frame = { encoder, sequences: 16, length: 32, steps: 7 };

test("what costs more does fewer steps in the same time; there is always one", () => {
  const objectives = [{ type: "masked-language" }, { type: "replaced-token-detection", generatorWidth: 1 }];
  const [masked, detected] = stepsInTime(objectives, 10, frame);
  expect(detected).toBeLessThan(masked);
  expect(detected).toBeGreaterThan(1);
  expect(stepsInTime(objectives, 0, frame)).toEqual([1, 1]);
});
