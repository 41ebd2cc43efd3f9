import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parameter, type Tensor, tensor } from "@cloze/tensor";
import { afterAll, expect, test } from "vitest";
import { type EvaluationRecord, followBest } from "./best-checkpoint.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-best-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const record = (step: number, value: number): EvaluationRecord => ({ step, epoch: step, value, scores: { f1: value } });
const setup = (options: Partial<Parameters<typeof followBest>[0]> = {}) => {
  const weight = parameter(tensor([0, 0]));
  const parameters = new Map<string, Tensor>([["weight", weight]]);
  const set = (value: number) => {
    const next = tensor([value, value]);
    weight.storage.backend.copy(next.pointer, weight.pointer, 2, weight.dtype);
    weight.markWritten();
  };
  return {
    best: followBest({ parameters, resumedStep: 0, ...options }),
    set,
    read: () => Array.from(weight.toTypedArray()),
  };
};

test.each([undefined, join(folder, "disk")])("the best weights come back (folder %s); NaN is worst", (path) => {
  const { best, set, read } = setup({ folder: path && mkdtempSync(`${path}-`), patience: 2 });
  const values = [Number.NaN, 0.5, 0.7, 0.7, Number.NaN];
  const ends = values.map((value, step) => {
    set(step);
    best.add(record(step, value), step === values.length - 1);
    return best.exhausted();
  });
  expect(ends).toEqual([false, false, false, false, true]);
  expect(best.best()?.step).toBe(2);
  best.restore(4);
  expect(read()).toEqual([2, 2]);
  best.done();
});

test("the last evaluation writes no weights, since they are those of the model", () => {
  const path = mkdtempSync(join(folder, "last-"));
  const { best, set, read } = setup({ folder: path });
  set(3);
  best.add(record(3, 1), true);
  expect(existsSync(join(path, "best.safetensors"))).toBe(false);
  best.restore(3);
  expect(read()).toEqual([3, 3]);
});

test("a resumed run knows the evaluations until its checkpoint, and no later ones", () => {
  const path = mkdtempSync(join(folder, "resumed-"));
  const first = setup({ folder: path });
  for (const [step, value] of [
    [2, 0.5],
    [4, Number.NaN],
    [6, 0.9],
  ])
    first.best.add(record(step, value), false);
  const again = setup({ folder: path, resumedStep: 4, patience: 1 });
  expect(again.best.records.map(({ step }) => step)).toEqual([2, 4]);
  expect(again.best.best()?.step).toBe(2);
  expect(again.best.exhausted()).toBe(true);
  expect(setup({ folder: path }).best.records).toEqual([]);
  expect(readdirSync(path)).toContain("evaluations.jsonl");
});

test("weights that are gone are an error", () => {
  const path = mkdtempSync(join(folder, "gone-"));
  const { best } = setup({ folder: path });
  best.add(record(1, 1), false);
  best.add(record(2, 0), true);
  rmSync(join(path, "best.safetensors"));
  expect(() => best.restore(2)).toThrow(expect.objectContaining({ code: "BEST_MISSING" }));
});
