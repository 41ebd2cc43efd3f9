// Texts that are encoded in steps against the same texts at once.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hardText, oracleConfigs } from "../../test/fixtures/tokenizers/oracle-configs.js";
import { atOnce, type Steps } from "./steps.js";
import { type Tokenizer, tokenizerFromJson } from "./tokenizer.js";

/** Texts of several blocks, with all that is hard in them. */
const longTexts = [" ", "\n", "东京 "].map((between, seed) =>
  fc
    .sample(hardText, { numRuns: 500, seed })
    .map((text) => text.replaceAll("\n\n", " the cat "))
    .join(`${between}a${between}`),
);
const ordinary = "The cat, größer than 2 dogs, ran after [MASK] and sat on the mat. ".repeat(400);

const stepsOf = (steps: Steps<unknown>): number => {
  let count = 0;
  while (steps.next().done !== true) count++;
  return count;
};

function checkEqual(tokenizer: Tokenizer, text: string): void {
  for (const truncation of [false, { maxLength: 24, stride: 5 }] as const) {
    const whole = tokenizer.encode(text, { truncation, padding: false });
    expect(atOnce(tokenizer.encodeSteps(text, { truncation }))).toEqual(whole);
    expect(atOnce(tokenizer.encodeIdsSteps(text, { truncation }))).toEqual(whole.ids);
  }
}

describe("texts of several blocks are read alike in steps and at once", () => {
  for (const [name, json] of Object.entries(oracleConfigs)) {
    test(name, () => {
      const tokenizer = tokenizerFromJson(json);
      for (const text of [...longTexts, ordinary]) {
        expect(text.length).toBeGreaterThan(2 * 4096);
        checkEqual(tokenizer, text);
      }
      const pair = { pair: longTexts[0], truncation: { maxLength: 40, strategy: "only-second" } } as const;
      expect(atOnce(tokenizer.encodeSteps("who is it?", pair))).toEqual(
        tokenizer.encode("who is it?", { ...pair, padding: false }),
      );
    });
  }
});

test("a text is cut where its tokenizer allows it, and others may be encoded in between", () => {
  const [bert] = Object.entries(oracleConfigs).filter(([name]) => name.startsWith("WordPiece"));
  const tokenizer = tokenizerFromJson(bert[1]);
  for (const text of [ordinary, ordinary.replaceAll(" ", "\n"), "東京".repeat(8000)]) {
    expect(stepsOf(tokenizer.encodeIdsSteps(text))).toBeGreaterThan(2);
    expect(stepsOf(tokenizer.encodeSteps(text))).toBeGreaterThan(3);
  }
  // Pieces between added tokens may be short, and many.
  expect(stepsOf(tokenizer.encodeSteps("[MASK] a ".repeat(3000)))).toBeGreaterThan(5);
  const alone = tokenizer.encodeIds(ordinary);
  const steps = tokenizer.encodeIdsSteps(ordinary);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) {
      expect(value).toEqual(alone);
      break;
    }
    tokenizer.encodeIds("something else");
  }
});
