import { memory, scope } from "@cloze/tensor";
import { expect, test } from "vitest";
import { memoryDocuments } from "../data/document-store.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { pretrainRetriever } from "./pretrain-retriever.js";

const vocabulary = { maskId: 4, clsId: 2, sepId: 3, vocabularySize: 60, specialIds: new Set([0, 2, 3, 4]) };
// Paragraph p of article d speaks with words of its own.
const word = (d: number, p: number, i: number) => 5 + d * 9 + p * 3 + (i % 3);
const articles = memoryDocuments(
  Array.from({ length: 6 }, (_, d) => ({
    title: new Int32Array(0),
    sections: [
      [0, 1, 2].map((p) => ({
        sentences: [0, 1, 2].map((s) => Int32Array.of(word(d, p, s), word(d, p, s + 1), word(d, p, s + 2))),
      })),
    ],
  })),
);
const config = uniformEncoder({
  vocabularySize: 60,
  hiddenSize: 16,
  layers: 1,
  heads: 2,
  maxPositions: 24,
  dropout: 0,
  initializerRange: 0.2,
});

test.each(["shared", "separate"] as const)(
  "%s towers find the passage that a sentence was taken from",
  async (towers) => {
    const before = memory.stats().liveBytes;
    const model = createModel({ architecture: "Model", head: { type: "none" }, config });
    const retriever = await pretrainRetriever(model, vocabulary, articles, {
      steps: 80,
      learningRate: 1e-2,
      batchTokens: 200,
      dims: 8,
      towers,
      tasks: { ict: 1, bfs: 0, wlp: 0 },
    });
    const paragraphs = Array.from({ length: 6 }, (_, d) => articles.document(d).sections.flat()).flat();
    const right = scope(() => {
      const q = retriever.query(paragraphs.map(({ sentences }) => sentences[0])).toArray() as number[][];
      const d = retriever
        .document(
          paragraphs.map(({ sentences }) => ({ passage: Int32Array.from(sentences.flatMap((ids) => [...ids])) })),
        )
        .toArray() as number[][];
      expect(q[0]).toHaveLength(8);
      const cosine = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0) / Math.hypot(...b);
      return q.filter((x, i) => d.every((y, j) => j === i || cosine(x, d[i]) > cosine(x, y))).length;
    });
    expect(right).toBeGreaterThan(12);
    retriever.dispose();
    model.dispose();
    expect(memory.stats().liveBytes).toBe(before);
  },
);
