import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkTags,
  convertTags,
  guessTagScheme,
  parseTags,
  type TagSpan,
  tagSchemes,
  writeTags,
} from "./tag-scheme.js";

const tags = (text: string): string[] => text.split(" ");
const span = (start: number, end: number, label: string): TagSpan => ({ start, end, label });

/** Spans that do not overlap, and the number of tokens. */
const sentences = fc
  .array(fc.tuple(fc.nat({ max: 2 }), fc.integer({ min: 1, max: 3 }), fc.constantFrom("PER", "B-x", "O")), {
    maxLength: 6,
  })
  .chain((parts) => {
    let at = 0;
    const spans = parts.map(([gap, size, label]) => {
      const start = at + gap;
      at = start + size;
      return span(start, at, label);
    });
    return fc.nat({ max: 3 }).map((rest) => ({ spans, length: at + rest }));
  });

describe("tag schemes", () => {
  it.each(tagSchemes)("%s gives back the spans that were written, without a fault", (scheme) => {
    fc.assert(
      fc.property(sentences, ({ spans, length }) => {
        const written = writeTags(length, spans, scheme);
        expect(written).toHaveLength(length);
        expect(parseTags(written, scheme)).toEqual({ spans, faults: [] });
      }),
    );
  });

  it("convert into each other", () => {
    fc.assert(
      fc.property(sentences, fc.constantFrom(...tagSchemes), fc.constantFrom(...tagSchemes), (sentence, from, to) => {
        const written = writeTags(sentence.length, sentence.spans, from);
        expect(convertTags(written, from, to)).toEqual(writeTags(sentence.length, sentence.spans, to));
      }),
    );
    const spans = [span(0, 2, "A"), span(2, 3, "A"), span(3, 4, "B"), span(5, 8, "B")];
    expect(tagSchemes.map((scheme) => writeTags(9, spans, scheme).join(" "))).toEqual([
      "B-A I-A B-A B-B O B-B I-B I-B O",
      "I-A I-A B-A I-B O I-B I-B I-B O",
      "B-A E-A S-A S-B O B-B I-B E-B O",
      "B-A L-A U-A U-B O B-B I-B L-B O",
    ]);
  });

  it("read faulty tags as the CoNLL scorer does, and say where they are", () => {
    const found = parseTags(tags("O I-A I-B B-B X-C O"), "BIO");
    expect(found.spans).toEqual([span(1, 2, "A"), span(2, 3, "B"), span(3, 4, "B")]);
    expect(found.faults).toEqual([
      { position: 1, tag: "I-A", before: "O" },
      { position: 2, tag: "I-B", before: "I-A" },
      { position: 4, tag: "X-C", before: "B-B" },
    ]);
    expect(checkTags(tags("I-A B-A O B-A"), "IOB1").map(({ position }) => position)).toEqual([3]);
    // A span may not stay open: not before O, not at the end.
    expect(checkTags(tags("B-A O E-A S-A I-A"), "BIOES").map(({ position }) => position)).toEqual([1, 2, 4]);
    expect(checkTags(tags("B-A I-A"), "BILOU").map(({ position }) => position)).toEqual([1]);
    expect(checkTags(["I-A", "", "B", "B-"], "BIO").map(({ position }) => position)).toEqual([0, 1, 2, 3]);
    expect(parseTags([], "BIOES")).toEqual({ spans: [], faults: [] });
  });

  it("never throw on any tags, and never give spans that overlap", () => {
    const tag = fc.constantFrom("O", "B-A", "I-A", "E-A", "S-A", "L-B", "U-B", "I-B", "x", "", "B-");
    fc.assert(
      fc.property(fc.array(tag), fc.constantFrom(...tagSchemes), (list, scheme) => {
        const { spans } = parseTags(list, scheme);
        expect(checkTags(writeTags(list.length, spans, scheme), scheme)).toEqual([]);
      }),
    );
  });

  it("are guessed", () => {
    expect(guessTagScheme([tags("B-A I-A O"), tags("B-B B-B")])).toBe("BIO");
    expect(guessTagScheme([tags("I-A I-A O"), tags("I-B B-B")])).toBe("IOB1");
    expect(guessTagScheme([tags("B-A E-A O S-B")])).toBe("BIOES");
    expect(guessTagScheme([tags("B-A L-A O U-B")])).toBe("BILOU");
    expect(guessTagScheme([tags("NN VB O")])).toBeUndefined();
  });

  it("refuse spans that overlap or reach beyond the tokens", () => {
    const error = expect.objectContaining({ code: "TAG_SPAN" });
    expect(() => writeTags(3, [span(0, 2, "A"), span(1, 3, "B")], "BIO")).toThrow(error);
    expect(() => writeTags(3, [span(2, 4, "A")], "BIO")).toThrow(error);
    expect(() => writeTags(3, [span(1, 1, "A")], "BIO")).toThrow(error);
  });
});
