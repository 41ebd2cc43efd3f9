import { expect, test } from "vitest";
import { numpyRandom } from "./numpy-random.js";

test("permutations are those of numpy", () => {
  // numpy 2: np.random.seed(seed); [np.random.permutation(k).tolist() for k in (1, 5, 9, 12)]
  const known: [number, number[][]][] = [
    [0, [[0], [2, 0, 1, 3, 4], [4, 0, 2, 5, 6, 1, 7, 8, 3], [11, 10, 3, 5, 0, 1, 2, 4, 9, 8, 6, 7]]],
    [1, [[0], [2, 1, 4, 0, 3], [2, 3, 4, 8, 1, 6, 0, 7, 5], [1, 7, 0, 3, 8, 10, 5, 11, 4, 2, 9, 6]]],
    [2 ** 32 - 1, [[0], [4, 1, 0, 2, 3], [3, 8, 5, 7, 1, 2, 6, 0, 4], [2, 0, 3, 4, 1, 5, 9, 8, 7, 6, 10, 11]]],
  ];
  for (const [seed, permutations] of known) {
    const random = numpyRandom(seed);
    for (const expected of permutations) expect(random.permutation(expected.map((_, i) => i))).toEqual(expected);
  }
});

test("the stream goes on after its state is used up: the ten-thousandth number of the C++ standard", () => {
  const random = numpyRandom(5489);
  for (let i = 1; i < 10_000; i++) random.next();
  expect(random.next()).toBe(4123659995);
});
