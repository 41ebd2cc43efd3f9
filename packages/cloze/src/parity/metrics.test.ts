import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkFolder } from "./folder.js";
import { checkMetrics } from "./metrics.js";

const fixtures = fileURLToPath(new URL("../../test/fixtures/", import.meta.url));
const read = (folder: string) => readFileSync(join(folder, "metrics.json"), "utf8");
// Python writes NaN as a bare word; no text of the fixture holds that word.
const cases = JSON.parse(read(fixtures).replace(/\bNaN\b/g, "null")) as Record<string, unknown>[];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-metrics-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const check = (given: unknown) => {
  writeFileSync(join(folder, "metrics.json"), typeof given === "string" ? given : JSON.stringify(given));
  return checkMetrics(folder, "metrics");
};

test("every figure of scikit-learn, scipy, sacrebleu and seqeval, and SQuAD's definitions", () => {
  const checks = checkMetrics(fixtures, "metrics");
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(checks.map((one) => one.case)).toEqual(cases.map(({ kind }, n) => `metrics/${n} ${kind}`));
});

// Read-only, and absent from a clone.
const shared = join(import.meta.dirname, "../../../../../shared/parity");
test.skipIf(!existsSync(join(shared, "metrics.json")))("the shared figures", () => {
  expect(checkMetrics(shared, "metrics").filter(({ ok }) => !ok)).toEqual([]);
});

test("any figure that is off by more than the tolerance fails its line", () => {
  const off = (value: unknown): unknown =>
    Array.isArray(value) ? [off(value[0]), ...value.slice(1)] : value === null ? 0 : (value as number) + 2e-4;
  const inputs = ["kind", "about", "labels", "predictions", "probabilities", "scores", "gains", "hypotheses"];
  const settings = ["references", "scheme", "version", "threshold", "questions"];
  const changed = cases.flatMap((one) =>
    Object.keys(one)
      .filter((key) => ![...inputs, ...settings].includes(key))
      .map((key) => ({ key, changed: { ...one, [key]: off(one[key]) } })),
  );
  const checks = check(changed.map((one) => one.changed));
  expect(checks.length).toBeGreaterThan(200);
  checks.forEach(({ ok, note }, i) => {
    expect(ok, changed[i].key).toBe(false);
    expect(note?.replace(/(\[\d+\])+$/, "")).toBe(changed[i].key);
  });
});

test("figures and kinds that are not known, and cases that say nothing, fail in words", () => {
  const labels = { labels: [0, 1], predictions: [0, 1] };
  expect(
    check([
      { kind: "classification", ...labels, accuracy: 1, f1_harmonic: 1 },
      { kind: "classification", ...labels, toString: 1 },
      { kind: "clustering", ...labels },
      { kind: "classification", ...labels },
      { kind: "classification", labels: [0, 1], predictions: [0], accuracy: 1 },
      { kind: "classification", predictions: [0], accuracy: 1 },
      { kind: "classification", ...labels, accuracy: [1] },
      { kind: "ranking", gains: [[1, 0]], scores: [[1, 0]], "ndcg@0_linear_gain": 1 },
    ]).map(({ ok, note }) => [ok, note]),
  ).toEqual([
    [false, "f1_harmonic: this program does not know such a figure"],
    [false, "toString: this program does not know such a figure"],
    [false, expect.stringContaining("clustering")],
    [false, "the case holds no figure"],
    [false, expect.stringContaining("labels and predictions")],
    [false, expect.stringContaining("labels is wrong")],
    [false, "accuracy: another shape than expected"],
    [false, expect.stringContaining("positive whole number")],
  ]);
});

test("NaN as Python writes it is the figure NaN, and stays text inside strings", () => {
  const constant = '[{"kind": "regression", "labels": [1, 1], "predictions": [1, 2], "pearson": NaN}]';
  expect(check(constant)).toMatchObject([{ ok: true, difference: 0 }]);
  const text =
    '[{"kind": "translation", "hypotheses": ["a \\" NaN b c"], "references": ["a \\" NaN b c"], "bleu": 100}]';
  expect(check(text)).toMatchObject([{ ok: true }]);
  expect(check(constant.replace("[1, 2]", "[2, 1]").replace("[1, 1]", "[1, 2]"))).toMatchObject([{ ok: false }]);
});

test("files that cannot be read are one failed line", () => {
  expect(check("[{")).toMatchObject([{ case: "metrics", ok: false }]);
  expect(check({ kind: "regression" })).toMatchObject([{ case: "metrics", ok: false }]);
});

test("a folder's metrics.json is found beside other parts", async () => {
  const perfect = [{ kind: "regression", labels: [1, 2], predictions: [1, 2], mse: 0 }];
  writeFileSync(join(folder, "metrics.json"), JSON.stringify(perfect));
  mkdirSync(join(folder, "models", "broken"), { recursive: true });
  writeFileSync(join(folder, "models", "broken", "cases.json"), "{");
  mkdirSync(join(folder, "more"));
  writeFileSync(join(folder, "more", "metrics.json"), JSON.stringify(perfect));
  const checks = await checkFolder(folder, () => {});
  expect(checks.map((one) => [one.case, one.ok])).toEqual([
    ["metrics/0 regression", true],
    ["models/broken", false],
    ["more/metrics/0 regression", true],
  ]);
});
