import fc from "fast-check";
import { expect, test } from "vitest";
import { atOnce } from "../../text/index.js";
import { jsonSteps } from "./json-steps.js";

test("JSON in steps is the JSON", () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof({ depthSize: "small" }, fc.jsonValue(), fc.constant(undefined), tie("list"), tie("object")),
    list: fc.array(tie("any"), { maxLength: 6 }),
    object: fc.dictionary(fc.string(), tie("any"), { maxKeys: 5 }),
  })).any;
  fc.assert(
    fc.property(value, (any) => {
      const whole = { any };
      expect(atOnce(jsonSteps(whole)).toString()).toBe(JSON.stringify(whole));
    }),
    { seed: 1, numRuns: 300 },
  );
});

test.each([0, 1, 1023, 1024, 1025, 5000])("a list of %i items, some of them none", (length) => {
  const list = Array.from({ length }, (_, i) => (i % 7 === 3 ? undefined : { i, text: `"${i}"`, none: undefined }));
  const answer = [{ list, tags: list.map((_, i) => String(i)) }];
  expect(atOnce(jsonSteps(answer)).toString()).toBe(JSON.stringify(answer));
});

test("texts longer than a piece, of characters of several bytes", () => {
  const answer = { text: "größe 東京 🤷🏽‍♀️ ".repeat(9000), list: Array.from({ length: 3000 }, (_, i) => `東${i}🤷`) };
  expect(atOnce(jsonSteps(answer)).toString()).toBe(JSON.stringify(answer));
});
