import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withNegatives } from "../../data/document-source.js";
import { memoryDocuments } from "../../data/document-store.js";
import { randomSource } from "../../data/random-source.js";
import { contextSequence, fitPair, pairSequence } from "./pair-batch.js";
import { contextOf, pairContexts } from "./pair-context.js";
import { type StructuralPair, sameDocumentPairs, sameParagraphPairs, spanInParagraphPairs } from "./paragraph-pairs.js";

// The id of a token says where it stands: document, paragraph, sentence.
const idOf = (d: number, p: number, s: number, i: number): number => 10 + d * 1000 + p * 100 + s * 10 + i;
const documents = memoryDocuments(
  Array.from({ length: 5 }, (_, d) => ({
    title: new Int32Array(0),
    sections: [0, 1].map((section) =>
      [0, 1].map((half) => {
        const p = section * 2 + half;
        return {
          sentences: Array.from({ length: 2 + ((d + p) % 4) }, (_, s) =>
            Int32Array.of(idOf(d, p, s, 0), idOf(d, p, s, 1)),
          ),
        };
      }),
    ),
  })),
);
const placeOf = (id: number) => {
  const at = id - 10;
  return {
    document: Math.floor(at / 1000),
    paragraph: Math.floor((at % 1000) / 100),
    sentence: Math.floor((at % 100) / 10),
  };
};
const places = (ids: Int32Array) => Array.from(ids, placeOf);
const sentencesOf = (ids: Int32Array) => new Set(places(ids).map(({ sentence }) => sentence));

function checkSources(pair: StructuralPair): void {
  for (const { document, paragraph } of places(pair.first)) expect([document, paragraph]).toEqual([...pair.from]);
  for (const { document, paragraph } of places(pair.second)) expect([document, paragraph]).toEqual([...pair.to]);
}
const forAll = (check: (position: number, seed: number) => void) =>
  fc.assert(fc.property(fc.nat({ max: 4 }), fc.nat(), check), { numRuns: 60 });

test("one document gets its negatives from others behind it, which are not asked about", () => {
  const lone = memoryDocuments([documents.document(0)]);
  const among = withNegatives(lone, memoryDocuments([1, 2, 3, 4].map(documents.document)));
  expect([among.count, among.tokens, among.reach]).toEqual([1, lone.tokens, 5]);
  expect(among.length(3)).toBe(documents.length(3));
  for (let seed = 0; seed < 20; seed++) {
    expect(sameDocumentPairs(lone, 0, randomSource(seed))).toHaveLength(1);
    for (const make of [sameDocumentPairs, sameParagraphPairs, spanInParagraphPairs]) {
      const pairs = make(among, 0, randomSource(seed));
      expect(pairs).toEqual(make(documents, 0, randomSource(seed)));
      expect(pairs).toHaveLength(5);
      pairs.forEach(checkSources);
      for (const pair of pairs) expect(() => contextOf(pair, among, "static", randomSource(seed))).not.toThrow();
    }
  }
});

describe("spans in the same paragraph", () => {
  test("the positive is two spans of a paragraph that do not overlap", () => {
    forAll((position, seed) => {
      const [positive, ...negatives] = sameParagraphPairs(documents, position, randomSource(seed));
      checkSources(positive);
      expect(positive.label).toBe(1);
      expect(positive.from).toEqual(positive.to);
      const first = sentencesOf(positive.first);
      for (const sentence of sentencesOf(positive.second)) expect(first.has(sentence)).toBe(false);
      expect(negatives).toHaveLength(4);
    });
  });
  test("hard negatives share the document and not the paragraph; easy ones come from elsewhere", () => {
    forAll((position, seed) => {
      const [, ...negatives] = sameParagraphPairs(documents, position, randomSource(seed));
      negatives.forEach((pair, i) => {
        checkSources(pair);
        expect(pair.label).toBe(0);
        expect(pair.to[0] === pair.from[0]).toBe(i < 2);
        if (i < 2) expect(pair.to[1]).not.toBe(pair.from[1]);
      });
    });
  });
  test("following: the second span stands after the first one, and a negative may stand before it", () => {
    let before = 0;
    forAll((position, seed) => {
      const [positive, ...negatives] = sameParagraphPairs(documents, position, randomSource(seed), {
        order: "following",
      });
      const last = Math.max(...sentencesOf(positive.first));
      expect(Math.min(...sentencesOf(positive.second))).toBeGreaterThan(last);
      for (const pair of negatives.filter(({ to }) => to[0] === position && to[1] === positive.from[1])) {
        before++;
        expect(Math.max(...sentencesOf(pair.second))).toBeLessThan(Math.min(...sentencesOf(pair.first)));
      }
    });
    expect(before).toBeGreaterThan(0);
  });
});

test("span in paragraph: the positive paragraph no longer holds the span, and has the rest in order", () => {
  forAll((position, seed) => {
    const [positive, ...negatives] = spanInParagraphPairs(documents, position, randomSource(seed));
    const cut = sentencesOf(positive.first);
    const { sentences } = documents.document(position).sections.flat()[positive.from[1]];
    const rest = sentences.filter((_, s) => !cut.has(s)).flatMap((ids) => [...ids]);
    expect(Array.from(positive.second)).toEqual(rest);
    for (const pair of negatives) {
      checkSources(pair);
      expect(pair.to).not.toEqual(pair.from);
    }
  });
});

test("paragraphs in the same document: negatives come from other documents only", () => {
  forAll((position, seed) => {
    const [positive, ...negatives] = sameDocumentPairs(documents, position, randomSource(seed));
    expect(positive.from[0]).toBe(positive.to[0]);
    expect(positive.from[1]).not.toBe(positive.to[1]);
    for (const pair of negatives) expect(pair.to[0]).not.toBe(pair.from[0]);
  });
});

test("the same random numbers give the same pairs", () => {
  for (const make of [sameParagraphPairs, spanInParagraphPairs, sameDocumentPairs]) {
    expect(make(documents, 2, randomSource(8))).toEqual(make(documents, 2, randomSource(8)));
  }
});

test("one document alone has no easy negatives, and one sentence alone no pair", () => {
  const alone = memoryDocuments([documents.document(3)]);
  const pairs = sameParagraphPairs(alone, 0, randomSource(1));
  expect(pairs.every(({ to }) => to[0] === 0)).toBe(true);
  const single = memoryDocuments([{ title: new Int32Array(0), sections: [[{ sentences: [Int32Array.of(7)] }]] }]);
  for (const make of [sameParagraphPairs, spanInParagraphPairs, sameDocumentPairs])
    expect(make(single, 0, randomSource(1))).toEqual([]);
});

test("a pair that is too long loses tokens of the longer text first", () => {
  fc.assert(
    fc.property(fc.nat({ max: 40 }), fc.nat({ max: 40 }), fc.integer({ min: 4, max: 40 }), (a, b, room) => {
      const [first, second] = fitPair(new Int32Array(a), new Int32Array(b), room);
      expect(first.length + second.length).toBe(Math.min(a + b, room));
      if (a <= room / 2) expect(first.length).toBe(a);
      if (b <= room / 2) expect(second.length).toBe(b);
    }),
  );
  const how = { maxLength: 10, segments: 2 };
  expect(pairSequence(Int32Array.of(5, 6), Int32Array.of(7), { clsId: 2, sepId: 3 }, how)).toEqual({
    ids: [2, 5, 6, 3, 7, 3],
    segments: [0, 0, 0, 0, 1, 1],
  });
});

describe("the context of the second text", () => {
  test("ranges name the sentences of both spans", () => {
    forAll((position, seed) => {
      for (const { first, second, fromSentences, toSentences } of sameParagraphPairs(
        documents,
        position,
        randomSource(seed),
      )) {
        for (const [ids, range] of [
          [first, fromSentences],
          [second, toSentences],
        ] as const) {
          expect([Math.min(...sentencesOf(ids)), Math.max(...sentencesOf(ids)) + 1]).toEqual(range);
        }
      }
    });
  });

  test.each(pairContexts)("%s: of the second text's document, without either text", (context) => {
    const numbers = new Set<number>();
    forAll((position, seed) => {
      const random = randomSource(seed);
      for (const pair of sameParagraphPairs(documents, position, random)) {
        const found = places(contextOf(pair, documents, context, random));
        const texts = new Set([...pair.first, ...pair.second]);
        for (const { document, paragraph, sentence } of found) {
          expect(document).toBe(pair.to[0]);
          numbers.add(paragraph);
          if (context === "static") expect(paragraph).toBe(0);
          if (context !== "local") continue;
          expect(paragraph).toBe(pair.to[1]);
          expect([pair.toSentences![0] - 1, pair.toSentences![1]]).toContain(sentence);
        }
        for (const id of contextOf(pair, documents, context, random)) expect(texts.has(id)).toBe(false);
      }
    });
    expect(numbers.size).toBe(context === "static" ? 1 : 4);
  });

  test("stands behind both texts in a segment of its own, and all fits", () => {
    const vocabulary = { clsId: 1, sepId: 2 };
    const of = (length: number, id: number) => new Int32Array(length).fill(id);
    fc.assert(
      fc.property(
        fc.nat({ max: 30 }),
        fc.nat({ max: 30 }),
        fc.nat({ max: 30 }),
        fc.integer({ min: 8, max: 40 }),
        (a, b, c, maxLength) => {
          const made = contextSequence({ first: of(a + 1, 7), second: of(b + 1, 8) }, of(c, 9), vocabulary, {
            maxLength,
            segments: 3,
          });
          const [ids, segments] = [Array.from(made.ids), Array.from(made.segments!)];
          expect(ids.length).toBeLessThanOrEqual(maxLength);
          ids.forEach((id, i) => {
            if (id > 2) expect(segments[i]).toBe(id - 7);
          });
          expect(ids.at(-1)).toBe(2);
          expect(ids.filter((id) => id === 2).length).toBe(ids.includes(9) ? 3 : 2);
          expect(ids).toContain(7);
          expect(ids).toContain(8);
          if (c > 0 && maxLength >= 8) expect(ids).toContain(9);
        },
      ),
    );
  });
});
