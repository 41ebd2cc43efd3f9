import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tensor } from "@cloze/tensor";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findCheckpoint, saveCheckpoint, type TrainerState } from "./checkpoint.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-checkpoint-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const state = (step: number): TrainerState => ({ version: 1, step, elapsed: 0, data: null, fingerprint: "" });

test("one that cannot be written says whether there is one before, in whole sentences", () => {
  const whole = new Map([["weight", tensor(new Float32Array([1]))]]);
  const gone = tensor(new Float32Array([1]));
  gone.dispose();
  const write = (step: number) => saveCheckpoint(folder, state(step), new Map([["weight", gone]]), new Map());
  const messageOf = (step: number): string => {
    try {
      write(step);
    } catch (error) {
      expect(error).toMatchObject({ code: "CHECKPOINT_WRITE" });
      return (error as Error).message;
    }
    throw new Error("It was written");
  };
  const first = messageOf(1);
  expect(first).toContain("there is none before it");
  expect(first).not.toContain("intact");
  expect(readdirSync(folder)).toEqual([]);
  saveCheckpoint(folder, state(2), whole, new Map());
  const second = messageOf(3);
  expect(second).toContain("the one before is intact");
  expect(findCheckpoint(folder)).toBe(join(folder, "checkpoint-2"));
  for (const message of [first, second]) expect(message).not.toMatch(/\.\.|\.;/);
  for (const value of whole.values()) value.dispose();
});

test("a folder that cannot be made is an error with a code too", () => {
  const file = join(folder, "taken");
  writeFileSync(file, "");
  expect(() => saveCheckpoint(join(file, "run"), state(1), new Map(), new Map())).toThrow(
    expect.objectContaining({ code: "CHECKPOINT_WRITE" }),
  );
  expect(findCheckpoint(file)).toBeUndefined();
});
