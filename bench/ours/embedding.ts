// Our side of the suites `embedding` and `embedding-training`.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { exportOnnx, loadEmbedder, type TextPair, trainEmbedder } from "cloze";
import { cacheFolder, type Job, randomSource, root } from "../harness.js";
import { sharedFile } from "../workload.js";

/** The checkpoint that lies beside the repository on some machines. */
export const checkpoint = join(root, "..", "shared", "models", "all-MiniLM-L6-v2");

const lines = (path: string): string[] => {
  const bytes = readFileSync(path);
  return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8").trim().split("\n");
};

function shuffled<T>(items: T[]): T[] {
  const next = randomSource(10);
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}

/** Real texts: a third sentences of STS-B, abstracts of SciFact, and news (agnews), in a random order. */
export function realTexts(count: number): string[] {
  const find = (...names: string[]): string => names.map((name) => sharedFile(name)).find(existsSync) as string;
  const sentences = lines(find("stsb/train.tsv"))
    .slice(1)
    .flatMap((line) => line.split("\t").slice(0, 2));
  const abstracts = lines(find("scifact/corpus.jsonl.gz", "scifact/corpus.jsonl")).map((line) => {
    const { title, text, abstract } = JSON.parse(line) as { title: string; text?: string; abstract?: string[] };
    return `${title} ${text ?? abstract?.join(" ") ?? ""}`;
  });
  const news = lines(find("agnews/test.tsv.gz", "agnews/test.tsv", "agnews/dev.tsv"))
    .slice(1)
    .map((line) => line.split("\t").reduce((longest, field) => (field.length > longest.length ? field : longest)));
  const share = Math.ceil(count / 3);
  const texts = [sentences, abstracts, news].flatMap((list) =>
    Array.from({ length: share }, (_, i) => list[i % list.length]),
  );
  return shuffled(texts).slice(0, count);
}

/** The checkpoint as the peers of Node want it: onnx/model.onnx beside the tokenizer's files. Made once. */
export async function onnxFolder(): Promise<string> {
  const folder = join(cacheFolder, "all-MiniLM-L6-v2");
  mkdirSync(join(folder, "onnx"), { recursive: true });
  for (const name of ["config.json", "tokenizer.json", "special_tokens_map.json"])
    copyFileSync(join(checkpoint, name), join(folder, name));
  // Peers of Node go by the tokenizer's limit, which is 512 here; the embedder's is 256.
  const limits = JSON.parse(readFileSync(join(checkpoint, "tokenizer_config.json"), "utf8")) as object;
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify({ ...limits, model_max_length: 256 }));
  if (!existsSync(join(folder, "onnx", "model.onnx"))) {
    const { model } = loadEmbedder(checkpoint);
    exportOnnx(model, folder);
    model.dispose();
  }
  return folder;
}

/** Embedding texts through a plan. */
export function prepareEmbedding(texts: readonly string[], weights: "float32" | "int8" = "float32"): Job {
  const embedder = loadEmbedder(checkpoint, { weights });
  return {
    async run() {
      (await embedder.embedAsync(texts)).dispose();
    },
    async outputs() {
      const vectors = await embedder.embedAsync(texts.slice(0, 64));
      const values = vectors.toTypedArray() as Float32Array;
      vectors.dispose();
      return [values];
    },
    close: () => embedder.dispose(),
  };
}

/** Sentences of STS-B, each with its partner, in a random order: the file begins with its shortest. */
export const realPairs = (): TextPair[] =>
  shuffled(
    lines(sharedFile("stsb", "train.tsv"))
      .slice(1)
      .map((line) => line.split("\t"))
      .map(([query, document]) => ({ query, document })),
  );

/** Milliseconds of a step of training with multiple negatives, the first two left out; on as many pairs as it takes, as peers do. */
export async function trainingSteps(pairs: readonly TextPair[], batchSize: number, steps: number): Promise<number[]> {
  const embedder = loadEmbedder(checkpoint);
  const times: number[] = [];
  let last = 0;
  await trainEmbedder(embedder, pairs.slice(0, batchSize * (steps + 2)), {
    loss: { type: "multiple-negatives", scale: 20 },
    steps: steps + 2,
    batchSize,
    learningRate: 2e-5,
    noDuplicates: false,
    shouldStop(step) {
      const now = performance.now();
      if (step > 2) times.push(now - last);
      last = now;
      return false;
    },
  });
  embedder.dispose();
  return times;
}
