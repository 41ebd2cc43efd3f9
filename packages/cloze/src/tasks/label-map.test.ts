import { expect, test } from "vitest";
import { createWarnings } from "../data/readers/warnings.js";
import { labelNumbers, labelWeights, reconcileNames, sortLabels, warnUnseen, weightsInOrder } from "./label-map.js";

const code = (wanted: string) => expect.objectContaining({ code: wanted });

test("labels sort as numbers where all are, else as names", () => {
  expect(sortLabels(["10", "2", "2", "0"])).toEqual(["0", "2", "10"]);
  expect(sortLabels(["b", "10", "a", "B"])).toEqual(["10", "B", "a", "b"]);
});

test("names stand as in the model when it knows them all; unnamed ones are named", () => {
  expect(reconcileNames(["no", "yes"], ["yes", "no"])).toEqual(["yes", "no"]);
  expect(reconcileNames(["no"], ["yes", "maybe", "no"])).toEqual(["yes", "maybe", "no"]);
  expect(reconcileNames(["no", "yes"], ["LABEL_0", "LABEL_1"])).toEqual(["no", "yes"]);
  expect(() => reconcileNames(["a", "b", "c"], ["LABEL_0", "LABEL_1"])).toThrow(code("LABEL_MAP_MISMATCH"));
  expect(() => reconcileNames(["a", "b"], ["yes", "no"])).toThrow(code("LABEL_MAP_MISMATCH"));
  expect(() => labelNumbers(["a"])("b")).toThrow(code("LABEL_UNKNOWN"));
});

test("weights are balanced as scikit-learn does, or given", () => {
  const labels = ["a", "a", "a", "b"];
  expect(labelWeights("balanced", labels, ["a", "b"])).toEqual({ a: 4 / (2 * 3), b: 4 / (2 * 1) });
  expect(labelWeights({ b: 3 }, labels, ["a", "b"])).toEqual({ b: 3 });
  expect(() => labelWeights({ c: 3 }, labels, ["a", "b"])).toThrow(code("LABEL_UNKNOWN"));
  expect(Array.from(weightsInOrder({ b: 3 }, ["a", "b"]) ?? [])).toEqual([1, 3]);
  expect(labelWeights(undefined, labels, ["a", "b"])).toBeUndefined();
});

test("unseen labels are counted", () => {
  const warnings = createWarnings();
  warnUnseen(
    [
      ["a", 1],
      ["c", 2],
      ["d", 3],
    ],
    ["a", "b"],
    warnings,
  );
  expect(warnings.list()).toMatchObject([{ code: "LABEL_UNSEEN", count: 2, first: "row 2, c" }]);
});
