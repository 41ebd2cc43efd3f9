import { noGrad, scope, tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { createEncoder } from "../encoder.js";
import { headConvolution } from "./head-convolution.js";
import { depthwiseConvolution } from "./token-shifts.js";

const draw = (count: number, seed: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(seed + i * i));
const once = <T>(_: string, make: () => T): T => make();

test.each([1, 5, 21])("a head's convolution of %d taps is its definition, beyond one block too", (taps) => {
  const [heads, size, lengths] = [2, 3, [40, 1, 0, 17]];
  const batch = packSequences(lengths.map((length) => ({ ids: new Array(length).fill(0) })));
  const tokens = batch.ids.length;
  const [x, kernel] = [draw(tokens * heads * size, 1), draw(heads * taps, 2)];
  const expected = Array.from({ length: x.length }, (_, at) => {
    const [token, head] = [Math.floor(at / (heads * size)), Math.floor((at % (heads * size)) / size)];
    const sequence = batch.offsets.findLastIndex((start) => start <= token);
    let total = 0;
    for (let j = 0; j < taps; j++) {
      const from = token + j - (taps - 1) / 2;
      if (from < batch.offsets[sequence] || from >= batch.offsets[sequence + 1]) continue;
      total += kernel[head * taps + j] * x[at + (from - token) * heads * size];
    }
    return total;
  });
  scope(() => {
    const [input, weights] = [tensor(x, [tokens, heads * size]), tensor(kernel, [heads, taps])];
    const spread = Array.from({ length: heads * size * taps }, (_, at) => {
      const [channel, tap] = [Math.floor(at / taps), at % taps];
      return kernel[Math.floor(channel / size) * taps + tap];
    });
    for (const y of [
      headConvolution(input, weights, { batch, once }),
      depthwiseConvolution(input, tensor(spread, [heads * size, taps]), { batch, once }),
    ]) {
      y.toTypedArray().forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i], 4);
      });
    }
  });
});

const create = (mixer: object) =>
  createEncoder(
    {
      vocabularySize: 30,
      hiddenSize: 16,
      initializerRange: 0.4,
      layers: [{ mixer: { type: "nystrom", heads: 2, kernelSize: null, ...mixer }, channel: { type: "none" } }],
    },
    { seed: 4 },
  );
function hidden(mixer: object, lengths: readonly number[]): number[] {
  const encoder = create(mixer);
  const batch = packSequences(
    lengths.map((length, s) => ({ ids: Array.from({ length }, (_, i) => (i * 7 + s * 11) % 30) })),
  );
  const values = scope(() => noGrad(() => Array.from(encoder.forward(batch).hidden.toTypedArray())));
  encoder.dispose();
  return values;
}
const largest = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i])), 0);

test("attention is exact with as many landmarks as tokens, closer with more of them, and of any length", () => {
  const exact = hidden({ landmarks: null }, [23, 9]);
  expect(largest(hidden({ landmarks: 23 }, [23, 9]), exact)).toBeLessThan(1e-5);
  const [few, many] = [2, 20].map((landmarks) => largest(hidden({ landmarks, iterations: 20 }, [23, 9]), exact));
  expect(few).toBeGreaterThan(1e-3);
  expect(many).toBeLessThan(few);
});

test("neighbours in a batch matter only where the inverse starts from the whole batch", () => {
  const alone = (mixer: object) => hidden(mixer, [23]);
  const together = (mixer: object) => hidden(mixer, [23, 31]).slice(0, 23 * 16);
  const mixer = { landmarks: 4, iterations: 1 };
  expect(largest(alone(mixer), together(mixer))).toBeLessThan(1e-5);
  const original = { ...mixer, start: "batch" };
  expect(largest(alone(original), together(original))).toBeGreaterThan(1e-5);
});
