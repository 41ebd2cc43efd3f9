// What a RoFormer that was stored in half precision keeps; its numbers are held by the parity fixtures.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { rotaryAngles } from "../encoder/mixers/rotary-positions.js";
import { loadModel, saveModel } from "./io.js";

test("the table of angles stays rounded where the model is saved in float32", () => {
  const fixture = fileURLToPath(new URL("../../test/fixtures/families/roformer-bfloat16/Model", import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "cloze-roformer-"));
  try {
    const model = loadModel(fixture);
    saveModel(model, folder);
    const again = loadModel(folder);
    expect(again.source).toMatchObject({ model_type: "roformer", cloze: { rotaryRounding: "bfloat16" } });
    expect(again.config).toEqual(model.config);
    const batch = packSequences([{ ids: [5, 6, 7, 8] }]);
    expect(again.forward(batch).hidden.toTypedArray()).toEqual(model.forward(batch).hidden.toTypedArray());
    again.dispose();
    model.dispose();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("cosines and sines are rounded to the nearest number of a kind, of two to the even one", () => {
  const of = (rounding?: "float16" | "bfloat16") => rotaryAngles([0, 1, 40], 4, { theta: 10000, rounding });
  const exact = of();
  for (const [rounding, digits] of [
    ["float16", 10],
    ["bfloat16", 7],
  ] as const) {
    const { cosines, sines } = of(rounding);
    for (const [near, whole] of [
      [cosines, exact.cosines],
      [sines, exact.sines],
    ]) {
      near.forEach((value, i) => {
        expect(Math.abs(value - whole[i])).toBeLessThanOrEqual(2 ** -(digits + 1) * Math.abs(whole[i]));
      });
    }
    expect(sines).not.toEqual(exact.sines);
    expect(cosines[0]).toBe(1);
  }
});
