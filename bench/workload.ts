// The models, batches and texts that the suites share.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, randomSource, root } from "./harness.js";

export interface ModelShape {
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  intermediate_size: number;
}
export const models = JSON.parse(readFileSync(join(root, "bench", "models.json"), "utf8")) as Record<
  string,
  ModelShape
>;
export const vocabularySize = 30522;

/** A Hugging Face folder (config.json, model.safetensors of a BertForMaskedLM) that `bench:setup` made. */
export const modelFolder = (name: string): string => join(cacheFolder, name);

/** The data that lies beside the repository on some machines. */
export const sharedFile = (...parts: string[]): string => join(root, "..", "shared", "data", ...parts);

const randomRow = (length: number, next: () => number): number[] => [
  101,
  ...Array.from({ length: Math.max(0, length - 2) }, () => 1000 + Math.floor(next() * 29000)),
  102,
];

/** Full rows of random ids. */
export function fullBatch(rows: number, length: number): number[][] {
  const next = randomSource(rows * 1000 + length);
  return Array.from({ length: rows }, () => randomRow(length, next));
}

/** 64 rows with the lengths of real sentences (SST-2), or of mean 43 and at most 128 where these are not at hand. */
export function raggedBatch(): number[][] {
  const next = randomSource(64);
  const file = sharedFile("sst2", "dev.tsv");
  let lengths: number[];
  if (existsSync(file)) {
    // A word gives 1.15 word pieces on average; [CLS] and [SEP] come on top.
    const sentences = readFileSync(file, "utf8").trim().split("\n").slice(1);
    lengths = Array.from({ length: 64 }, () => {
      const sentence = sentences[Math.floor(next() * sentences.length)].split("\t")[0];
      return 2 + Math.round(sentence.trim().split(/\s+/).length * 1.15);
    });
  } else {
    lengths = Array.from({ length: 64 }, () => Math.max(8, Math.min(128, Math.round(12 - 31 * Math.log(1 - next())))));
  }
  return lengths.map((length) => randomRow(length, next));
}

/** Labels for masked-language modelling: 15 % of the tokens of each batch, -100 elsewhere; masked ids are 103. */
export function maskedBatch(rows: number, length: number): { ids: number[][]; labels: number[][] } {
  const next = randomSource(15);
  const ids = fullBatch(rows, length);
  const labels = ids.map((row) => row.map(() => -100));
  let left = Math.round(rows * length * 0.15);
  while (left > 0) {
    const row = Math.floor(next() * rows);
    const column = 1 + Math.floor(next() * (length - 2));
    if (labels[row][column] !== -100) continue;
    labels[row][column] = ids[row][column];
    ids[row][column] = 103;
    left--;
  }
  return { ids, labels };
}

/** Multiplications and additions of one encoder forward pass on rows of these lengths (no padding counted). */
export function encoderFlops(shape: ModelShape, lengths: readonly number[]): number {
  const { hidden_size: h, intermediate_size: f, num_hidden_layers: layers } = shape;
  let flops = 0;
  for (const length of lengths) flops += 2 * length * (4 * h * h + 2 * h * f) + 4 * length * length * h;
  return flops * layers;
}
