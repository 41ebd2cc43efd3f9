import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { parquetWriteFile } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Tokenizer, trainWordLevel } from "../../text/index.js";
import { createWarnings } from "../readers/warnings.js";
import { type BuildCorpusOptions, buildCorpus } from "./build-corpus.js";
import { type Corpus, documentStates, totalOf } from "./corpus.js";
import { corpusBatches } from "./corpus-batches.js";
import { findCorpusFiles } from "./corpus-files.js";
import { allSequences, mixedStream, sequenceStream } from "./corpus-sequences.js";
import { partsOf, type ReadDocumentsOptions, readDocuments } from "./documents.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-corpus-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const words = Array.from({ length: 200 }, (_, i) => `w${i}`);
let tokenizer: Tokenizer;
beforeAll(() => {
  tokenizer = trainWordLevel([words.join(" ")], { minFrequency: 1 });
});

let made = 0;
const fresh = (): string => join(folder, `corpus-${made++}`);
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const build = async (sources: string[], options: Partial<BuildCorpusOptions> = {}): Promise<Corpus> =>
  (await buildCorpus({ sources, tokenizer, folder: fresh(), workers: 0, ...options })).corpus;

/** Documents of a corpus as texts, with their states. */
function textsOf(corpus: Corpus): { text: string; state: number }[] {
  return corpus.manifest.sources.flatMap((_, source) =>
    corpus.blocks(source).flatMap((block) => {
      const { ids, starts, states } = corpus.read(block);
      return Array.from(states, (state, d) => ({
        text: Array.from(ids.subarray(starts[d], starts[d + 1]), (id) => tokenizer.idToToken(id)).join(" "),
        state,
      }));
    }),
  );
}
const plain = (corpus: Corpus): string[] => textsOf(corpus).map(({ text }) => text);

describe("reading", () => {
  test("a folder of text, JSON lines, Parquet, CSV and packed text, by name", async () => {
    const inside = join(folder, "mixed");
    mkdirSync(join(inside, "deep"), { recursive: true });
    writeFileSync(join(inside, "a.txt"), "w1 w2\n\n  \nw3\r\nw4");
    writeFileSync(join(inside, "b.jsonl"), '{"id": "x", "text": "w5 w6"}\n{"id": "y", "text": "w7"}\n');
    writeFileSync(join(inside, "c.csv"), 'text,score\n"w8, w9",1\n');
    writeFileSync(join(inside, "deep", "d.txt.gz"), gzipSync("w10\nw11 w12\n"));
    parquetWriteFile({
      filename: join(inside, "e.parquet"),
      columnData: [
        { name: "n", data: [1, 2] },
        { name: "content", data: ["w13", "w14 w15"] },
      ],
    });
    writeFileSync(join(inside, ".hidden.txt"), "w16");
    const corpus = await build([inside]);
    expect(plain(corpus)).toEqual([
      "w1 w2",
      "w3",
      "w4",
      "w5 w6",
      "w7",
      "w8 [UNK] w9",
      "w10",
      "w11 w12",
      "w13",
      "w14 w15",
    ]);
    expect(corpus.manifest.warnings).toEqual([]);
    expect(totalOf(corpus.manifest, "training")).toEqual({ documents: 10, tokens: 16 });
  });

  test("patterns, and documents between blank lines or as files", async () => {
    file("p1.text", "w1\nw2\n\nw3\n");
    file("p2.text", "w4\n \n\nw5\nw6");
    expect(plain(await build([join(folder, "p*.text")], { documents: "blank" }))).toEqual([
      "w1 w2",
      "w3",
      "w4",
      "w5 w6",
    ]);
    expect(plain(await build([join(folder, "p*.text")], { documents: "file" }))).toEqual(["w1 w2 w3", "w4 w5 w6"]);
  });

  test("binary, empty and bad content is counted and left out", async () => {
    const inside = join(folder, "bad");
    mkdirSync(inside);
    writeFileSync(join(inside, "a.png"), Buffer.from([0x89, 0x50, 0, 1, 2, 3]));
    writeFileSync(join(inside, "b.bin"), Buffer.from(Array.from({ length: 500 }, (_, i) => 128 + (i % 60))));
    writeFileSync(join(inside, "c.txt"), "");
    writeFileSync(join(inside, "d.jsonl"), '{"text": "w1"}\nno json\n{"text": 5}\n[1]\n');
    const { manifest } = await build([inside]);
    const counts = Object.fromEntries(manifest.warnings.map(({ code, count }) => [code, count]));
    expect(counts).toEqual({
      CORPUS_BINARY_FILE: 2,
      CORPUS_EMPTY_FILE: 1,
      CORPUS_BAD_LINE: 2,
      CORPUS_ROW_WITHOUT_TEXT: 1,
    });
    expect(totalOf(manifest, "training").documents).toBe(1);
  });

  test("what cannot be a corpus has a code", async () => {
    const code = (sources: string[], options = {}) => expect(build(sources, options)).rejects;
    await code([join(folder, "absent")]).toMatchObject({ code: "CORPUS_FILE_MISSING" });
    await code([file("blank.txt", "\n \n\n")]).toMatchObject({ code: "CORPUS_EMPTY" });
    await code([file("nul.bin", Buffer.alloc(100))]).toMatchObject({ code: "CORPUS_EMPTY" });
    await code([file("two.jsonl", '{"a": "w1", "b": "w2"}\n')]).toMatchObject({ code: "CORPUS_TEXT_FIELD" });
    await code([file("no.jsonl", "w1 w2\nw3\n")]).toMatchObject({ code: "CORPUS_FORMAT" });
    expect(plain(await build([join(folder, "two.jsonl")], { textField: "b" }))).toEqual(["w2"]);
  });

  test("files read in parts give each document once, wherever parts end", async () => {
    const lines = Array.from({ length: 60 }, (_, i) => words.slice(i, i + 1 + (i % 5)).join(i % 3 === 0 ? "  " : " "));
    const ends = ["\n", "\r\n"];
    const text = lines.map((line, i) => `${line}${ends[i % 2]}${i % 4 === 3 ? ends[i % 2] : ""}`).join("");
    const path = file("parts.txt", text);
    const rows = file("parts.jsonl", lines.map((line) => `${JSON.stringify({ text: line })}\n`).join(""));
    const read = async (source: string, options: ReadDocumentsOptions): Promise<string[]> => {
      const texts: string[] = [];
      for (const part of await partsOf(findCorpusFiles([source], createWarnings()), options)) {
        for await (const document of readDocuments(part, options, createWarnings())) texts.push(document);
      }
      return texts;
    };
    const [whole, paragraphs] = [await read(path, {}), await read(path, { documents: "blank" })];
    expect(whole).toEqual(lines);
    expect(await read(rows, {})).toEqual(lines);
    expect(paragraphs.length).toBe(15);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 20, max: 700 }), async (partBytes) => {
        expect(await read(path, { partBytes })).toEqual(lines);
        expect(await read(rows, { partBytes })).toEqual(lines);
        expect(await read(path, { documents: "blank", partBytes })).toEqual(paragraphs);
      }),
      { numRuns: 40 },
    );
  });

  test("threads, one thread, and a build that goes on after parts were done give the same files", async () => {
    const sources = Array.from({ length: 4 }, (_, i) => file(`t${i}.txt`, words.slice(i, 50 + i).join("\n")));
    const [one, two, three] = [fresh(), fresh(), fresh()];
    const corpora = [
      await build(sources, { folder: one, workers: 0 }),
      await build(sources, { folder: two, workers: 2 }),
    ];
    const stop = build(sources, {
      folder: three,
      onProgress({ bytes }) {
        if (bytes > 300) throw new Error("stopped");
      },
    });
    await expect(stop).rejects.toThrow("stopped");
    expect(readdirSync(three).some((name) => name.endsWith(".json") && name.startsWith("part"))).toBe(true);
    corpora.push(await build(sources, { folder: three }));
    for (const corpus of corpora) expect(corpus.manifest).toEqual(corpora[0].manifest);
    for (const corpus of corpora) expect(textsOf(corpus)).toEqual(textsOf(corpora[0]));
    expect(readdirSync(two).sort()).toEqual(readdirSync(one).sort());
    const again = await buildCorpus({ sources, tokenizer, folder: one });
    expect(again.built).toBe(false);
  });

  test("an error in a thread keeps its code and its words", async () => {
    const path = file("cut.txt.gz", gzipSync(Buffer.from("w1\n".repeat(5000))).subarray(0, 40));
    const messages = await Promise.all(
      [0, 1].map((workers) => build([path], { workers }).then(String, (error: Error) => error)),
    );
    expect(messages[0]).toMatchObject({ code: "DATA_COMPRESSION" });
    expect(messages[1]).toMatchObject({ code: "DATA_COMPRESSION", message: (messages[0] as Error).message });
  });

  test("a corpus that changed is refused where a run goes on, and made anew otherwise", async () => {
    const path = file("changing.txt", "w1\nw2\n");
    const place = fresh();
    await build([path], { folder: place });
    file("changing.txt", "w1\nw3\n");
    await expect(build([path], { folder: place, resume: true })).rejects.toMatchObject({
      code: "CORPUS_CHANGED",
      received: expect.stringContaining(path),
    });
    expect(plain(await build([path], { folder: place }))).toEqual(["w1", "w3"]);
  });
});

describe("duplicates and held-out documents", () => {
  const sentence = (from: number, length: number): string => words.slice(from, from + length).join(" ");

  test("exact ones are those with the tokens of an earlier document; they are counted also when they stay", async () => {
    const texts = ["w1 w2", "w3", "w1  w2", "w2 w1", "w3", "w3", "w3", "w3", "w3"];
    const path = file("same.txt", texts.join("\n"));
    const corpus = await build([path], { deduplicate: "exact" });
    const kept = textsOf(corpus).filter(({ state }) => state === documentStates.training);
    expect(kept.map(({ text }) => text)).toEqual(["w1 w2", "w3", "w2 w1"]);
    expect(corpus.manifest.sources[0].duplicates.documents).toBe(6);
    const whole = await build([path]);
    expect(totalOf(whole.manifest, "training").documents).toBe(9);
    expect(whole.manifest.warnings).toMatchObject([{ code: "CORPUS_REPEATED", count: 6 }]);
  });

  test("near ones overlap; others stay", async () => {
    const texts = [
      sentence(0, 60),
      sentence(100, 60),
      `${sentence(0, 59)} w199`, // 56 of 58 shingles
      sentence(30, 60), // half of the first
      `w150 ${sentence(100, 60)} w3`,
    ];
    const corpus = await build([file("near.txt", texts.join("\n"))], { deduplicate: "near" });
    expect(textsOf(corpus).map(({ state }) => state)).toEqual([0, 0, 2, 0, 2]);
  });

  test("no two documents with the same tokens stand on both sides", async () => {
    const texts = Array.from({ length: 400 }, (_, i) => `${words[i % 90]} ${words[(i * 7) % 90]}`);
    const corpus = await build([file("held.txt", texts.join("\n"))], { validationShare: 0.1 });
    const sides = new Map<string, Set<number>>();
    for (const { text, state } of textsOf(corpus)) sides.set(text, (sides.get(text) ?? new Set()).add(state));
    expect([...sides.values()].every((states) => states.size === 1)).toBe(true);
    const { documents } = totalOf(corpus.manifest, "validation");
    expect(documents).toBeGreaterThan(5);
    expect(documents).toBeLessThan(100);
    expect([...allSequences(corpus, { length: 8, seed: 1, state: "validation" })].length).toBe(documents);
  });

  test("one document, or one repeated sentence, is trained on, and nothing is held out", async () => {
    for (const text of ["w1 w2", "w1 w2\n".repeat(20)]) {
      const corpus = await build([file("one.txt", text)], { validationShare: 0.1 });
      expect(totalOf(corpus.manifest, "validation").documents).toBe(0);
      expect(corpus.manifest.warnings.map(({ code }) => code)).toContain("CORPUS_NO_VALIDATION");
    }
    const two = await build([file("two.txt", "w1\nw2")], { validationShare: 0.001 });
    expect([totalOf(two.manifest, "training"), totalOf(two.manifest, "validation")].map((c) => c.documents)).toEqual([
      1, 1,
    ]);
  });
});

describe("sequences", () => {
  const makeCorpus = (): Promise<Corpus> => {
    const texts = Array.from({ length: 300 }, (_, i) => words.slice(i % 100, (i % 100) + 1 + (i % 30)).join(" "));
    return build([file("sequences.txt", texts.join("\n"))]);
  };
  const idsSorted = (sequences: Iterable<Int32Array>): string =>
    [...sequences]
      .flatMap((ids) => [...ids])
      .sort((a, b) => a - b)
      .join();
  const epochOf = (corpus: Corpus, options: Parameters<typeof sequenceStream>[1]): Int32Array[] => {
    const stream = sequenceStream(corpus, options);
    const sequences: Int32Array[] = [];
    for (
      let tokens = 0;
      tokens < totalOf(corpus.manifest, "training").tokens;
      tokens += sequences.at(-1)?.length ?? 0
    ) {
      sequences.push(stream.next());
    }
    return sequences;
  };

  test("every token once an epoch, in an order of the seed", async () => {
    const corpus = await makeCorpus();
    const epoch = epochOf(corpus, { length: 10, seed: 1 });
    const all = idsSorted(allSequences(corpus, { length: 1000, seed: 1 }));
    expect(idsSorted(epoch)).toBe(all);
    expect(epoch.every(({ length }) => length <= 10)).toBe(true);
    const again = epochOf(corpus, { length: 10, seed: 1 });
    expect(again).toEqual(epoch);
    expect(epochOf(corpus, { length: 10, seed: 2 })).not.toEqual(epoch);
  });

  test("a sequence is of one document unless asked", async () => {
    const corpus = await build([
      file("apart.txt", Array.from({ length: 50 }, (_, i) => `${words[i]} ${words[i]}`).join("\n")),
    ]);
    for (const ids of epochOf(corpus, { length: 16, seed: 3 })) expect(new Set(ids).size).toBe(1);
    const separator = 3;
    const stream = sequenceStream(corpus, { length: 16, seed: 3, crossWith: separator });
    const sequences = Array.from({ length: 9 }, () => stream.next());
    expect(sequences.filter(({ length }) => length === 16).length).toBeGreaterThan(6);
    // Between two separators stand the two tokens of one document.
    for (const ids of sequences) {
      const inner = [...ids].join(" ").split(` ${separator} `).slice(1, -1);
      for (const document of inner) expect(document).toMatch(/^(\d+) \1$/);
    }
  });

  test("goes on at the same token from any place", async () => {
    const corpus = await makeCorpus();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 90 }), fc.boolean(), async (steps, mixed) => {
        const options = { length: 12, seed: 5, batchTokens: 60, ...(mixed ? { weights: [1] } : {}) };
        const source = corpusBatches(corpus, options);
        for (let i = 0; i < steps; i++) source.next();
        const state = JSON.parse(JSON.stringify(source.state()));
        const wanted = Array.from({ length: 5 }, () => source.next());
        const resumed = corpusBatches(corpus, options);
        resumed.restore(state);
        expect(Array.from({ length: 5 }, () => resumed.next())).toEqual(wanted);
      }),
      { numRuns: 20 },
    );
  });

  test("batches keep their budget", async () => {
    const corpus = await makeCorpus();
    const source = corpusBatches(corpus, { length: 20, seed: 1, batchTokens: 100 });
    for (let i = 0; i < 50; i++) {
      const { sequences, index } = source.next();
      expect(index).toBe(i);
      expect(sequences.reduce((sum, { length }) => sum + length + 2, 0)).toBeLessThanOrEqual(100);
    }
  });

  test("weights hold at any time, whatever the sizes of the sources", async () => {
    const small = file("small.txt", Array.from({ length: 20 }, (_, i) => `w1 ${words[i]}`).join("\n"));
    const large = file(
      "big.txt",
      Array.from({ length: 500 }, (_, i) => `w2 ${words.slice(0, 1 + (i % 40)).join(" ")}`).join("\n"),
    );
    const corpus = await build([small, large]);
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0.05, max: 0.95, noNaN: true }), async (share) => {
        const stream = mixedStream(corpus, { length: 16, seed: 1 }, [share, 1 - share]);
        for (let i = 0; i < 400; i++) stream.next();
        const [a, b] = stream.given();
        expect(Math.abs(a / (a + b) - share)).toBeLessThan(0.02);
      }),
      { numRuns: 10 },
    );
    expect(() => corpusBatches(corpus, { length: 16, seed: 1, batchTokens: 64, weights: [1] })).toThrow(
      /one weight for each/,
    );
    expect(() => corpusBatches(corpus, { length: 16, seed: 1, batchTokens: 64, weights: [0, 0] })).toThrow(/not all 0/);
  });

  test("pools of few blocks keep every token too", async () => {
    // Blocks have 32 thousand tokens: 5 blocks of them, in pools of 2.
    const text = Array.from({ length: 1600 }, (_, i) =>
      words
        .slice(0, 100)
        .map((_, j) => words[(i + j) % 200])
        .join(" "),
    );
    const corpus = await build([file("pools.txt", text.join("\n"))]);
    expect(corpus.blocks(0).length).toBe(5);
    const epoch = epochOf(corpus, { length: 50, seed: 1, poolBlocks: 2 });
    expect(idsSorted(epoch)).toBe(idsSorted(allSequences(corpus, { length: 100, seed: 1 })));
  });
});
