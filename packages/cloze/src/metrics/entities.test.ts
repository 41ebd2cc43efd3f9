import fc from "fast-check";
import { expect, test } from "vitest";
import { entityReport, entitySpans, type TagScheme } from "./entities.js";

const spans = (tags: string, strict?: TagScheme) =>
  entitySpans(tags.split(" "), { strict }).map(({ type, start, end }) => `${type} ${start}-${end}`);

test("lenient: entities begin with any prefix and end where the type changes", () => {
  expect(spans("B-PER I-PER O B-LOC")).toEqual(["PER 0-2", "LOC 3-4"]);
  expect(spans("I-PER I-PER O")).toEqual(["PER 0-2"]);
  expect(spans("B-PER I-LOC")).toEqual(["PER 0-1", "LOC 1-2"]);
  expect(spans("B-PER B-PER")).toEqual(["PER 0-1", "PER 1-2"]);
  expect(spans("S-PER E-PER I-PER E-PER O E-LOC")).toEqual(["PER 0-1", "PER 1-2", "PER 2-4", "LOC 5-6"]);
  expect(spans("B I O B-A-B")).toEqual(["_ 0-2", "A-B 3-4"]);
  // Prefixes of BILOU are not known: two units of a type are one entity.
  expect(spans("U-PER U-PER O")).toEqual(["PER 0-2"]);
});

test("strict: only what the scheme allows is an entity", () => {
  expect(spans("I-PER B-PER I-PER I-LOC O", "BIO")).toEqual(["PER 1-3"]);
  expect(spans("B-PER I-PER B-PER E-PER S-LOC I-LOC E-LOC", "BIOES")).toEqual(["PER 2-4", "LOC 4-5"]);
  expect(spans("B-PER I-PER L-PER U-LOC B-LOC O L-LOC", "BILOU")).toEqual(["PER 0-3", "LOC 3-4"]);
  expect(spans("B-PER E-LOC", "BIOES")).toEqual([]);
});

test("a report by hand", () => {
  const report = entityReport(
    [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC"]],
    [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC"]],
  );
  expect(report.types).toEqual([
    { type: "LOC", precision: 1, recall: 1 / 2, f1: 2 / 3, support: 2 },
    { type: "PER", precision: 1 / 2, recall: 1, f1: 2 / 3, support: 1 },
  ]);
  expect(report.micro).toEqual({ precision: 2 / 3, recall: 2 / 3, f1: 2 / 3, support: 3 });
  expect(report.macro).toEqual({ precision: 3 / 4, recall: 3 / 4, f1: 2 / 3 });
  expect(report.weighted.recall).toBeCloseTo(2 / 3, 12);
  expect(report.unknownTags).toBe(0);
});

test("an entity never reaches into the next sentence", () => {
  const report = entityReport([["B-PER"], ["I-PER"]], [["B-PER"], ["O"]]);
  expect(report.micro).toMatchObject({ precision: 1, recall: 1 / 2 });
});

test("what is not defined, and tags that cannot be read", () => {
  const none = entityReport([["O"]], [["O"]]);
  expect([none.micro.f1, none.weighted.f1]).toEqual([0, 0]);
  expect(none.macro.f1).toBeNaN();
  expect(entityReport([], []).micro.f1).toBe(0);
  expect(entityReport([["U-PER", "PER"]], [["O", "B"]]).unknownTags).toBe(2);
  const value = expect.objectContaining({ code: "METRIC_VALUE" });
  expect(() => spans("B-PER E-PER", "BIO")).toThrow(value);
  expect(() => entitySpans([""])).toThrow(value);
  const shape = expect.objectContaining({ code: "METRIC_SHAPE" });
  expect(() => entityReport([["O"]], [])).toThrow(shape);
  expect(() => entityReport([["O"]], [["O", "O"]])).toThrow(shape);
});

test("what follows a scheme is found in both modes, and read back as it was written", () => {
  const entity = fc.record({ type: fc.constantFrom("A", "B-C"), length: fc.integer({ min: 0, max: 4 }) });
  const write = (length: number, type: string, scheme: TagScheme): string[] => {
    if (length === 0) return ["O"];
    const [single, last] = { BIO: "BI", BIOES: "SE", BILOU: "UL" }[scheme];
    if (length === 1) return [`${single}-${type}`];
    return Array.from({ length }, (_, i) => `${i === 0 ? "B" : i === length - 1 ? last : "I"}-${type}`);
  };
  fc.assert(
    fc.property(fc.array(entity), fc.constantFrom<TagScheme>("BIO", "BIOES", "BILOU"), (entities, strict) => {
      const tags = entities.flatMap(({ type, length }) => write(length, type, strict));
      let place = 0;
      const expected = entities.flatMap(({ type, length }) => {
        const start = place;
        place += Math.max(1, length);
        return length === 0 ? [] : [{ type, start, end: place }];
      });
      expect(entitySpans(tags, { strict })).toEqual(expected);
      if (strict !== "BILOU") expect(entitySpans(tags)).toEqual(expected);
    }),
  );
});
