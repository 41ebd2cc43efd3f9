import { fileURLToPath } from "node:url";
import { scope } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { loadModel } from "../families/index.js";
import { loadTokenizer } from "../text/index.js";
import { createEmbedder, type EmbedderOptions } from "./embedder.js";
import { embedLongTexts, type LongTextOptions } from "./long-texts.js";

const encoder = fileURLToPath(new URL("../../test/fixtures/embedders/encoder", import.meta.url));
const create = (options: EmbedderOptions = {}) =>
  createEmbedder(loadModel(encoder), loadTokenizer(encoder), { maxLength: 10, ...options });
const words = "the moon is far away from the earth and very far from a star".split(" ");
const long = [...words.slice(0, 7), "stars", ...words.slice(7), ...words].join(" ");
const texts = ["a small cat", long, "", `${words.slice(0, 8).join(" ")}`];
const embedder = create();
const plain = (list: readonly string[]) => scope(() => embedder.embed(list).toArray() as number[][]);
const run = (options: LongTextOptions, list = texts, by = embedder) => {
  const { vectors, chunks, counts } = embedLongTexts(by, list, options);
  return { rows: vectors.toArray() as number[][], chunks, counts };
};
const near = (a: readonly number[], b: readonly number[]) => {
  expect(a.length).toBe(b.length);
  a.forEach((value, i) => {
    expect(value).toBeCloseTo(b[i], 5);
  });
};

describe("a long text", () => {
  test("cut: what embed gives, and what was left out is counted", () => {
    const { rows, counts, chunks } = run({});
    plain(texts).forEach((row, i) => {
      near(rows[i], row);
    });
    // 28 words, "star" and "##s": 30 tokens, of which 8 fit.
    expect(counts).toMatchObject({
      texts: 4,
      longTexts: 1,
      truncatedTexts: 1,
      droppedTokens: 22,
      windows: 4,
      vectors: 4,
    });
    expect(long.slice(chunks[1].start, chunks[1].end)).toBe(`${words.slice(0, 7).join(" ")} star`);
  });

  test("in chunks: each is what embed gives for its part of the text, together they are all of it", () => {
    const { rows, chunks, counts } = run({ strategy: "chunk" });
    expect(counts).toMatchObject({ longTexts: 1, truncatedTexts: 0, droppedTokens: 0, vectors: 7 });
    chunks.forEach(({ text, start, end }, i) => {
      near(rows[i], plain([texts[text].slice(start, end)])[0]);
    });
    const parts = chunks.filter(({ text }) => text === 1).map(({ start, end }) => long.slice(start, end));
    expect(parts.join(" ")).toBe(long);
    // "stars" is not torn apart, though the first window ends inside it.
    expect(parts[1].startsWith("stars")).toBe(true);
  });

  test("with overlap, chunks share tokens", () => {
    const { chunks } = run({ strategy: "chunk", chunkTokens: 5, overlap: 2 }, [long]);
    chunks.slice(1).forEach(({ start }, i) => {
      expect(start).toBeLessThan(chunks[i].end);
    });
    expect(chunks[chunks.length - 1].end).toBe(long.length);
  });

  test("as the mean of its windows", () => {
    const { rows, counts } = run({ strategy: "window-mean" });
    expect(rows.length).toBe(4);
    expect(counts.windows).toBe(7);
    near(rows[0], plain(["a small cat"])[0]);
    const parts = run({ strategy: "chunk" }, [long]);
    const sum = parts.rows[0].map((_, c) =>
      parts.rows.reduce((total, row, i) => total + row[c] * parts.chunks[i].tokens, 0),
    );
    const length = Math.hypot(...sum);
    near(
      rows[1],
      sum.map((value) => value / length),
    );
  });

  test("late chunks of a text that fits: means of the states of their tokens", () => {
    const text = words.slice(0, 8).join(" ");
    const { rows, chunks } = run({ strategy: "late-chunk", chunkTokens: 3 }, [text]);
    expect(chunks.map(({ start, end }) => text.slice(start, end))).toEqual([
      "the moon is",
      "far away from",
      "the earth",
    ]);
    const hidden = scope(() => embedder.hiddenOf(embedder.pack([text])).toArray() as number[][]);
    chunks.forEach(({ tokens }, i) => {
      const first = 1 + chunks.slice(0, i).reduce((sum, chunk) => sum + chunk.tokens, 0);
      const own = hidden.slice(first, first + tokens);
      const mean = own[0].map((_, c) => own.reduce((sum, row) => sum + row[c], 0) / tokens);
      const length = Math.hypot(...mean);
      near(
        rows[i],
        mean.map((value) => value / length),
      );
    });
  });

  test("late chunks of one that does not fit: every token has a state, nothing is left out", () => {
    const { rows, chunks, counts } = run({ strategy: "late-chunk", chunkTokens: 4 });
    expect(counts.droppedTokens).toBe(0);
    expect(chunks.filter(({ text }) => text === 1).reduce((sum, { tokens }) => sum + tokens, 0)).toBe(30);
    for (const row of rows) expect(Math.hypot(...row)).toBeCloseTo(1, 4);
  });

  test("batches of any size give the same", () => {
    for (const strategy of ["chunk", "window-mean", "late-chunk"] as const) {
      const [small, large] = [run({ strategy, tokenBudget: 1, chunkTokens: 4 }), run({ strategy, chunkTokens: 4 })];
      expect(small.chunks).toEqual(large.chunks);
      small.rows.forEach((row, i) => {
        near(row, large.rows[i]);
      });
    }
  });

  test("each window has the prompt before it", () => {
    const asked = create({ prompts: { query: "find the " } });
    const { rows, chunks } = run({ strategy: "chunk", role: "query" }, [long], asked);
    const part = long.slice(chunks[1].start, chunks[1].end);
    near(rows[1], scope(() => asked.embed([part], { role: "query" }).toArray() as number[][])[0]);
    expect(chunks[0].tokens).toBe(6);
  });

  test("sizes that do not fit are refused", () => {
    const wrong = (options: LongTextOptions) => () => run(options);
    expect(wrong({ strategy: "chunk", chunkTokens: 9 })).toThrow(/1 to 8/);
    expect(wrong({ strategy: "chunk", chunkTokens: 4, overlap: 4 })).toThrow(/0 to 3/);
  });
});
