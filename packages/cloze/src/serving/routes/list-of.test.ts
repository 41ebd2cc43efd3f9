// Lists of bodies against zod's own, which looks at every item; and how little a wrong one of a million takes.
import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { mixedInputsField } from "./fields.js";
import { idList, idLists, listOf, textList } from "./list-of.js";

const item = fc.oneof(
  fc.string(),
  fc.integer({ min: -2, max: 5 }),
  fc.double(),
  fc.constant(null),
  fc.array(fc.integer({ min: -1, max: 5 }), { maxLength: 3 }),
  fc.record({ text: fc.string(), more: fc.integer() }),
);
const values = fc.oneof(
  fc.array(fc.string()),
  fc.array(fc.nat()),
  fc.array(fc.array(fc.nat())),
  fc.array(fc.record({ text: fc.string(), more: fc.integer() })),
  fc.array(item, { maxLength: 4 }),
  item,
);
const object = z.object({ text: z.string() });
const ids = z.array(z.int().min(0));

test.each([
  ["texts", textList(), z.array(z.string())],
  ["ids", idList(), ids],
  ["lists of ids", idLists(), z.array(ids)],
  ["objects", listOf(object, ""), z.array(object)],
  ["a text, ids, or both in a list", mixedInputsField, z.union([z.string(), ids, z.array(z.union([z.string(), ids]))])],
])("%s: what zod takes, read as zod reads it", (_, quick, plain) => {
  fc.assert(
    fc.property(values, (value) => {
      const [one, other] = [quick.safeParse(value), plain.safeParse(value)];
      expect(one.success).toBe(other.success);
      expect(one.data).toEqual(other.data);
    }),
    { numRuns: 500 },
  );
});

test("the first wrong item is named, and no other", () => {
  const { error } = listOf(object, "").safeParse([{ text: "a" }, { text: 1 }, 2]);
  expect(error?.issues).toMatchObject([{ path: [1, "text"] }]);
  const many = textList().safeParse(new Array(1_000_000).fill(1));
  expect(many.error?.issues).toHaveLength(1);
});

test("it is described as any list is", () => {
  const described = z.toJSONSchema(z.object({ texts: textList().optional() }), { io: "input", unrepresentable: "any" });
  expect(described.properties).toEqual({ texts: { type: "array", items: { type: "string" } } });
  expect(described.required).toBeUndefined();
});
