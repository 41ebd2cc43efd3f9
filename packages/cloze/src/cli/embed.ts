import { writeFileAtomic } from "@cloze/tensor";
import { type Command, Option } from "commander";
import type { Embedder } from "../embedding/embedder.js";
import {
  type EmbeddedChunk,
  embedLongTexts,
  type LongTextStrategy,
  longTextStrategies,
} from "../embedding/long-texts.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { emptyCounts } from "../embedding/text-roles.js";
import {
  calibrateRanges,
  checkFinite,
  encodeVectors,
  type Precision,
  precisions,
  readNpy,
  truncateVectors,
  type VectorCodes,
  type VectorRanges,
  writeNpy,
} from "../embedding/vectors/index.js";
import { ClozeError } from "../errors.js";
import { createMeter, type ProgressReporter } from "../training/progress.js";
import { wholeNumber } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";
import { readTextFile } from "./text-file.js";

interface EmbedOptions extends CommonOptions {
  model: string;
  input?: string;
  out?: string;
  role: "query" | "document";
  promptName?: string;
  prompt?: string;
  field?: string;
  weights: "float32" | "int8";
  precision: Precision;
  dimensions?: number;
  calibration?: string;
  long: LongTextStrategy;
  chunkTokens?: number;
  overlap: number;
  tokenBudget: number;
  files?: boolean;
  similarity?: boolean;
}

/** The texts of a command: its arguments, or the lines of a file (`-`: standard input). */
export function textsOf(texts: readonly string[], input: string | undefined): string[] {
  if (input === undefined) {
    if (texts.length > 0) return [...texts];
    throw new ClozeError("NO_TEXT", "There is no text", { remedy: "Give texts as arguments, or a file with --input." });
  }
  const lines = readTextFile(input).split(/\r?\n/);
  if (lines[lines.length - 1] === "") lines.pop();
  if (lines.length === 0) throw new ClozeError("NO_TEXT", `${input} is empty`, { expected: "one text a line" });
  return lines;
}

interface Embedded {
  readonly vectors: Float32Array;
  /** What each vector stands for, where texts may have several. */
  readonly chunks?: readonly EmbeddedChunk[];
  readonly counts: Readonly<Record<string, number>>;
}

/** Vectors of texts; says what was cut. */
async function embedTexts(
  embedder: Embedder,
  texts: readonly string[],
  options: EmbedOptions,
  progress: ProgressReporter,
): Promise<Embedded> {
  let share = 0;
  const meter = createMeter("embed", () => share);
  const emptyTexts = texts.filter((text) => text.trim() === "").length;
  if (emptyTexts > 0)
    progress.note(`${emptyTexts} of ${texts.length} texts are empty: what stands around a text gives their vectors`);
  const { long, role, promptName, prompt, field, tokenBudget, chunkTokens, overlap } = options;
  const shared = {
    role,
    promptName,
    prompt,
    field,
    tokenBudget,
    onProgress(done: number, total: number) {
      share = done / total;
      progress.update(meter.event(done));
    },
  };
  try {
    if (long === "truncate") {
      const counts = emptyCounts();
      const vectors = await embedder.embedAsync(texts, { ...shared, counts });
      if (counts.truncatedTexts > 0) {
        const { truncatedTexts, droppedTokens } = counts;
        progress.note(
          `${truncatedTexts} of ${texts.length} texts were cut to ${embedder.options.maxLength} tokens: ${droppedTokens} tokens left out (--long chunk, window-mean or late-chunk reads them)`,
        );
      }
      return {
        vectors: checkFinite(vectors.toTypedArray() as Float32Array, embedder.width),
        counts: { ...counts, emptyTexts },
      };
    }
    const { vectors, chunks, counts } = embedLongTexts(embedder, texts, {
      ...shared,
      strategy: long,
      chunkTokens,
      overlap,
    });
    progress.note(`${counts.longTexts} of ${texts.length} texts took several windows`);
    const many = long === "window-mean" ? {} : { chunks };
    return {
      vectors: checkFinite(vectors.toTypedArray() as Float32Array, embedder.width),
      ...many,
      counts: { ...counts, emptyTexts },
    };
  } finally {
    progress.done();
  }
}

/** Ranges of 8-bit codes from a file of vectors. */
function readRanges(path: string, embedder: Embedder, dimensions: number | undefined): VectorRanges {
  const { data, shape } = readNpy(path);
  if (!(data instanceof Float32Array) || shape[1] !== embedder.width) {
    throw new ClozeError("DIMENSION_MISMATCH", `${path} holds other vectors than this model gives`, {
      expected: `float32 [rows, ${embedder.width}]`,
      received: `${data.constructor.name} [${shape.join(", ")}]`,
      remedy: "Make it with cloze embed --out calibration.npy and this model.",
    });
  }
  const { normalize } = embedder.options;
  const cut = dimensions === undefined ? data : truncateVectors(data, shape[1], dimensions, { normalize });
  return calibrateRanges(cut, dimensions ?? shape[1]);
}

const isNpy = (path: string): boolean => path.toLowerCase().endsWith(".npy");

/** One JSON object for each vector. */
function* jsonRows(texts: readonly string[], codes: VectorCodes, chunks: readonly EmbeddedChunk[] | undefined) {
  const { data, rowLength } = codes;
  for (let i = 0; i * rowLength < data.length; i++) {
    const vector = Array.from(data.subarray(i * rowLength, (i + 1) * rowLength));
    if (chunks === undefined) {
      yield { text: texts[i], vector };
      continue;
    }
    const { text, chunk, start, end } = chunks[i];
    yield { text: texts[text].slice(start, end), index: text, chunk, start, end, vector };
  }
}

function* jsonLines(rows: Iterable<object>): Generator<Buffer> {
  for (const row of rows) yield Buffer.from(`${JSON.stringify(row)}\n`);
}

/** The cosine of every two texts, each pair once. */
function printSimilarities(
  names: readonly string[],
  vectors: Float32Array,
  width: number,
  options: EmbedOptions,
): void {
  const row = (i: number) => vectors.subarray(i * width, (i + 1) * width);
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, c) => sum + value * b[c], 0);
  const lengths = names.map((_, i) => Math.sqrt(dot(row(i), row(i))));
  const pairs = names.flatMap((first, i) =>
    names.slice(i + 1).map((second, j) => {
      const cosine = dot(row(i), row(i + 1 + j)) / Math.max(1e-12, lengths[i] * lengths[i + 1 + j]);
      return { first, second, cosine };
    }),
  );
  printResult(options, pairs, () =>
    pairs.map(({ first, second, cosine }) => `${cosine.toFixed(6)}\t${first}\t${second}`).join("\n"),
  );
}

/** Writes vectors, and beside them what a matrix alone does not tell. */
function writeVectors(
  path: string,
  texts: readonly string[],
  codes: VectorCodes,
  chunks: readonly EmbeddedChunk[] | undefined,
): string[] {
  const files = [path];
  const beside = (name: string, content: string | Iterable<Buffer>) => {
    files.push(`${path}.${name}`);
    writeFileAtomic(`${path}.${name}`, content);
  };
  if (isNpy(path)) {
    const { data, rowLength } = codes;
    writeNpy(path, data, [data.length / rowLength, rowLength]);
    if (chunks !== undefined) beside("chunks.jsonl", jsonLines(chunks));
  } else {
    writeFileAtomic(path, jsonLines(jsonRows(texts, codes, chunks)));
  }
  if (codes.ranges !== undefined) {
    const { least, largest } = codes.ranges;
    beside("ranges.json", `${JSON.stringify({ least: Array.from(least), largest: Array.from(largest) })}\n`);
  }
  return files;
}

/** `cloze embed` */
export function addEmbed(program: Command): void {
  program
    .command("embed")
    .description("turn texts into vectors")
    .argument("[texts...]", "texts; or use --input")
    .requiredOption(`--model ${modelArgument}`, "a model (sentence-transformers or Hugging Face)")
    .option("--input <file>", "one text a line; - for standard input")
    .option("--out <file>", "write JSON lines {text, vector} there, or a matrix where the name ends in .npy")
    .addOption(
      new Option("--role <role>", "what the texts are, where the model tells them apart")
        .choices(["query", "document"])
        .default("document"),
    )
    .option("--prompt-name <name>", "a prompt of the model to put before the texts")
    .option("--prompt <text>", "a text to put before the texts")
    .option("--field <name>", "the field of the texts, where the model has an expert for each")
    .addOption(
      new Option("--weights <kind>", "how the model runs: int8 is smaller and faster, and rounds")
        .choices(["float32", "int8"])
        .default("float32"),
    )
    .addOption(
      new Option("--precision <precision>", "of the vectors: 8-bit codes, or a bit for each number")
        .choices(precisions)
        .default("float32"),
    )
    .addOption(
      new Option("--dimensions <count>", "the first so many numbers of each vector (Matryoshka)").argParser(
        wholeNumber(),
      ),
    )
    .option("--calibration <file.npy>", "float32 vectors that 8-bit ranges are taken from (default: these vectors)")
    .addOption(
      new Option("--long <strategy>", "what becomes of texts that are longer than the model reads")
        .choices(longTextStrategies)
        .default("truncate"),
    )
    .addOption(
      new Option("--chunk-tokens <count>", "tokens of a chunk (default: all it reads)").argParser(wholeNumber()),
    )
    .option("--overlap <tokens>", "tokens that a chunk shares with the one before it", wholeNumber(0), 0)
    .option("--token-budget <count>", "tokens per forward pass", wholeNumber(1), 4096)
    .option("--files", "the arguments are files, each of which is one text")
    .option("--similarity", "print the cosine of every two texts instead of vectors")
    .action(async (given: string[], options: EmbedOptions) => {
      const { precision, dimensions, out } = options;
      const texts = options.files === true ? given.map(readTextFile) : textsOf(given, options.input);
      const embedder = loadEmbedder(await modelFolder(options.model, options), { weights: options.weights });
      const progress = progressFor(options);
      const ranges =
        options.calibration === undefined ? undefined : readRanges(options.calibration, embedder, dimensions);
      const { vectors, chunks, counts } = await embedTexts(embedder, texts, options, progress);
      const { normalize } = embedder.options;
      const cut =
        dimensions === undefined ? vectors : truncateVectors(vectors, embedder.width, dimensions, { normalize });
      const width = dimensions ?? embedder.width;
      if (options.similarity === true) {
        embedder.dispose();
        printSimilarities(options.files === true ? given : texts, cut, width, options);
        return;
      }
      const codes = encodeVectors(cut, width, precision, ranges);
      embedder.dispose();
      if (out !== undefined) {
        const files = writeVectors(out, texts, codes, chunks);
        const rows = codes.data.length / codes.rowLength;
        printResult(
          options,
          { texts: texts.length, vectors: rows, width, precision, out, files, counts },
          () => `${rows} vectors of ${width} numbers in ${files.join(", ")}`,
        );
        return;
      }
      const rows = [...jsonRows(texts, codes, chunks)];
      const print = precision === "float32" ? (value: number) => value.toFixed(6) : String;
      printResult(options, rows, () =>
        rows.map(({ text, vector }) => `${text}\t${vector.map(print).join(" ")}`).join("\n"),
      );
    });
}
