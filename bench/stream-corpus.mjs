// Streams a corpus of any size as pre-training does, and says how fast and in how much memory:
//   npm run build; node bench/stream-corpus.mjs [--gigabytes 5] [--text FILE] [--batches 2000] [--workers N] [--folder DIR]
// The corpus is made by repetition of a text (../shared/data/corpus_modern where it is at hand, else made words).
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { buildCorpus, corpusBatches, totalOf, trainWordPiece } from "../packages/cloze/dist/index.js";

const { values } = parseArgs({
  options: {
    gigabytes: { type: "string", default: "5" },
    text: { type: "string" },
    batches: { type: "string", default: "2000" },
    workers: { type: "string", default: String(availableParallelism()) },
    folder: { type: "string" },
  },
});
const shared = fileURLToPath(new URL("../../shared/data/corpus_modern/train.txt.gz", import.meta.url));
const source = values.text ?? (existsSync(shared) ? shared : undefined);

function textOf(path) {
  if (path === undefined) {
    const line = (i) => Array.from({ length: 40 }, (_, j) => `word${(i * 31 + j * j * 7) % 5000}`).join(" ");
    return Array.from({ length: 20_000 }, (_, i) => line(i)).join("\n");
  }
  const bytes = readFileSync(path);
  return (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString("utf8");
}

const folder = mkdtempSync(join(values.folder ?? tmpdir(), "cloze-stream-"));
const path = join(folder, "corpus.txt");
const bytes = Number(values.gigabytes) * 1e9;
let tokenizer;
{
  const text = textOf(source);
  tokenizer = trainWordPiece(text.slice(0, 5_000_000).split("\n"), { vocabularySize: 8000 });
  const block = Buffer.from(text.endsWith("\n") ? text : `${text}\n`);
  const file = openSync(path, "w");
  for (let written = 0; written < bytes; written += block.length) writeSync(file, block);
  closeSync(file);
}
const megabytes = (count) => Math.round(count / 1e6);
let peak = 0;
const watch = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss());
}, 50);
globalThis.gc?.();
const before = process.memoryUsage.rss();
try {
  const start = performance.now();
  const { corpus } = await buildCorpus({
    sources: [path],
    tokenizer,
    folder: join(folder, "store"),
    validationShare: 0.001,
    workers: Number(values.workers),
  });
  const seconds = (performance.now() - start) / 1000;
  const whilePeak = peak;
  const { tokens } = totalOf(corpus.manifest, "training");
  peak = 0;
  const batches = corpusBatches(corpus, { length: 126, seed: 1, batchTokens: 4096 });
  const from = performance.now();
  let given = 0;
  for (let i = 0; i < Number(values.batches); i++) {
    given += batches.next().sequences.reduce((sum, { length }) => sum + length, 0);
    peak = Math.max(peak, process.memoryUsage.rss());
  }
  const drawing = (performance.now() - from) / 1000;
  corpus.close();
  console.log(
    JSON.stringify(
      {
        gigabytes: Number(values.gigabytes),
        workers: Number(values.workers),
        tokens,
        tokenizeSeconds: seconds,
        tokensPerSecond: Math.round(tokens / seconds),
        residentBeforeMegabytes: megabytes(before),
        peakTokenizingMegabytes: megabytes(whilePeak),
        peakDrawingMegabytes: megabytes(peak),
        drawnTokensPerSecond: Math.round(given / drawing),
      },
      null,
      2,
    ),
  );
} finally {
  clearInterval(watch);
  rmSync(folder, { recursive: true, force: true });
}
