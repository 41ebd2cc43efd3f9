import fc from "fast-check";
import { expect, test } from "vitest";
import { trainWordPiece } from "../../text/index.js";
import { randomSource } from "../random-source.js";
import { amplification, amplified, mixFiles, segmentInstances, shardDocuments } from "./simultaneous.js";

test("a vocabulary of amplified texts is that of texts that are there so many times", () => {
  const large = Array.from({ length: 60 }, (_, i) => `the old house on hill ${i} was quiet and the garden was green`);
  const small = ["estoppel bars the plaintiff", "the plaintiff pleads estoppel"];
  const bytes = (texts: string[]) => texts.reduce((sum, text) => sum + text.length, 0);
  const times = amplification(bytes(large), bytes(small));
  expect(times).toBe(Math.round(bytes(large) / bytes(small)));
  expect([amplification(10, 4), amplification(10, 3), amplification(3, 10)]).toEqual([3, 3, 1]);
  const options = { vocabularySize: 90, minFrequency: 1 };
  const counted = trainWordPiece(amplified([large, small]), options);
  const repeated = trainWordPiece([...large, ...Array.from({ length: times }, () => small).flat()], options);
  expect(counted.toJson()).toEqual(repeated.toJson());
  const pieces = (tokenizer: typeof counted) => tokenizer.encodeIds("the plaintiff pleads estoppel").length;
  expect(pieces(counted)).toBeLessThan(pieces(trainWordPiece([...large, ...small], options)));
});

test("every shard comes before any comes again", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 20 }),
      fc.nat(),
      (counts, files, seed) => {
        const perFile = counts.map((_, i) => 1 + i * 2);
        const mixed = mixFiles(counts, perFile, files, seed);
        expect(mixed).toEqual(mixFiles(counts, perFile, files, seed));
        expect(mixed.length).toBe(files);
        counts.forEach((count, corpus) => {
          const seen = new Array(count).fill(0);
          for (const file of mixed) {
            expect(file[corpus].length).toBe(perFile[corpus]);
            for (const shard of file[corpus]) seen[shard]++;
          }
          const mean = (files * perFile[corpus]) / count;
          for (const times of seen) expect([Math.floor(mean), Math.ceil(mean)]).toContain(times);
        });
      },
    ),
    { numRuns: 60 },
  );
});

test("shards of equal size give corpora their shares, whatever their sizes", () => {
  const random = randomSource(3);
  const make = (count: number) => Array.from({ length: count }, () => 20 + Math.floor(60 * random()));
  const corpora = [make(400), make(4000)].map((documents) => shardDocuments(documents, (size) => size, 1000));
  const mixed = mixFiles(
    corpora.map(({ shards }) => shards.length),
    [5, 5],
    50,
    1,
  );
  const sizes = corpora.map(({ shards }, c) =>
    mixed.reduce(
      (sum, file) => sum + file[c].reduce((all, shard) => all + shards[shard].reduce((a, b) => a + b, 0), 0),
      0,
    ),
  );
  expect(Math.abs(sizes[0] / (sizes[0] + sizes[1]) - 0.5)).toBeLessThan(0.02);
  // Nothing is lost.
  expect(corpora.map(({ shards }) => shards.flat().length)).toEqual([400, 4000]);
  expect(() => mixFiles([3], [1, 1], 2, 1)).toThrow(/Each corpus has shards/);
});

test("instances: a true second segment follows, a random one is of another document, half of each", () => {
  // Each token says its document and its place.
  const documents = Array.from({ length: 40 }, (_, d) =>
    Array.from({ length: 60 }, (_, s) => Int32Array.from({ length: 5 }, (_, t) => d * 1000 + s * 5 + t)),
  );
  let [changed, all] = [0, 0];
  for (let seed = 0; seed < 12; seed++) {
    for (const { first, second, document, partner, isRandomNext } of segmentInstances(
      documents,
      40,
      randomSource(seed),
    )) {
      all++;
      changed += Number(isRandomNext);
      expect([...first].every((id) => Math.floor(id / 1000) === document)).toBe(true);
      expect([...second].every((id) => Math.floor(id / 1000) === partner)).toBe(true);
      expect(isRandomNext).toBe(partner !== document);
      if (!isRandomNext) expect(second[0]).toBe(first[first.length - 1] + 1);
      expect(first.length + second.length).toBeLessThanOrEqual(40 + 4);
    }
  }
  expect(changed / all).toBeGreaterThan(0.48);
  expect(changed / all).toBeLessThan(0.52);
});

test("chunks of one sentence always get a random one; a file of one document gives none", () => {
  const single = Array.from({ length: 8 }, (_, d) => [Int32Array.of(d, d)]);
  const instances = segmentInstances(single, 20, randomSource(1));
  expect(instances.length).toBe(8);
  expect(instances.every(({ isRandomNext }) => isRandomNext)).toBe(true);
  expect(segmentInstances([single[0]], 20, randomSource(1))).toEqual([]);
});
