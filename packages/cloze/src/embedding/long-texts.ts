// Texts that are longer than the encoder reads at once: nothing is cut without being counted.
import { empty, noGrad, scope, type Tensor, take, tensor } from "@cloze/tensor";
import { groupByTokenBudget } from "../data/packed-batch.js";
import { ClozeError } from "../errors.js";
import { normalizeRows } from "../objectives/contrastive.js";
import { type Embedder, type EmbedOptions, poolsStates } from "./embedder.js";
import { routeFor } from "./routed-embedder.js";
import { emptyCounts, frameOf, prepareText, type TextCounts } from "./text-roles.js";

/**
 * What becomes of a long text:
 * - "truncate": its beginning is embedded; what is left out is counted
 * - "chunk": a vector for each window of it
 * - "window-mean": the mean of its windows' vectors, each by its number of tokens
 * - "late-chunk": a vector for each chunk, whose tokens have seen the text around them (arXiv 2409.04701)
 */
export type LongTextStrategy = "truncate" | "chunk" | "window-mean" | "late-chunk";

export const longTextStrategies: readonly LongTextStrategy[] = ["truncate", "chunk", "window-mean", "late-chunk"];

export interface LongTextOptions extends Omit<EmbedOptions, "counts"> {
  /** Default "truncate". */
  strategy?: LongTextStrategy;
  /** Tokens of a window or a chunk, special tokens not counted. Default: as many as the embedder reads at once. */
  chunkTokens?: number;
  /** Tokens that a window shares with the one before it. Default 0. */
  overlap?: number;
}

/** What a vector stands for. */
export interface EmbeddedChunk {
  /** Position of the text. */
  readonly text: number;
  /** Which chunk of its text it is, from 0. */
  readonly chunk: number;
  /** Where it stands in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** Its tokens, special ones not counted. */
  readonly tokens: number;
}

export interface LongTextCounts extends TextCounts {
  /** Texts that took more than one window. */
  longTexts: number;
  /** Windows that the encoder read. */
  windows: number;
  /** Vectors that came out. */
  vectors: number;
}

export interface LongTextVectors {
  /** [chunks, width] */
  readonly vectors: Tensor;
  readonly chunks: readonly EmbeddedChunk[];
  readonly counts: LongTextCounts;
}

/** A text in tokens: what stands in it and where. */
interface TokenizedText {
  readonly ids: Int32Array;
  readonly spans: readonly (readonly [number, number])[];
  readonly words: readonly (number | null)[];
}

/** Windows [start, end) of tokens; they end between words where that costs less than half of them. */
function windowsOf({ ids, words }: TokenizedText, size: number, overlap: number): [number, number][] {
  const windows: [number, number][] = [];
  for (let start = 0; ; ) {
    let end = Math.min(ids.length, start + size);
    if (end < ids.length) {
      let cut = end;
      while (cut > start && words[cut] !== null && words[cut] === words[cut - 1]) cut--;
      if (cut - start > size / 2) end = cut;
    }
    windows.push([start, end]);
    if (end >= ids.length) return windows;
    start = Math.max(start + 1, end - overlap);
  }
}

/** 0, and the sum of the lengths up to each. */
function endsOf(lengths: readonly number[]): number[] {
  const ends = [0];
  for (const length of lengths) ends.push(ends[ends.length - 1] + length);
  return ends;
}

function checkSizes(room: number, chunkTokens: number, overlap: number): void {
  if (!(Number.isInteger(chunkTokens) && chunkTokens >= 1 && chunkTokens <= room)) {
    throw new ClozeError("INVALID_OPTION", "The number of tokens of a chunk is out of range", {
      expected: `1 to ${room}: what the embedder reads at once, without special tokens and prompt`,
      received: String(chunkTokens),
    });
  }
  if (!(Number.isInteger(overlap) && overlap >= 0 && overlap < chunkTokens)) {
    throw new ClozeError("INVALID_OPTION", "The overlap of windows is out of range", {
      expected: `0 to ${chunkTokens - 1}`,
      received: String(overlap),
    });
  }
}

/**
 * Embeds texts of any length; without further options long ones are cut, and counted.
 *
 * @throws INVALID_OPTION
 * @example
 * const { vectors, chunks, counts } = embedLongTexts(embedder, texts, { strategy: "chunk", overlap: 32 });
 */
export function embedLongTexts(
  given: Embedder,
  texts: readonly string[],
  { strategy = "truncate", overlap = 0, tokenBudget = 4096, onProgress, ...options }: LongTextOptions = {},
): LongTextVectors {
  const embedder = routeFor(given, options.role);
  const { tokenizer, width, options: settings } = embedder;
  if (embedder.documentLevel !== undefined) {
    throw new ClozeError("INVALID_OPTION", "This embedder reads long texts in blocks of its own", {
      received: `the strategy "${strategy}"`,
      remedy: "Leave the strategy out (--long): embed says what was left out.",
    });
  }
  const { chunkTokens: wanted, ...kind } = options;
  const frame = settings.specialTokens ? frameOf(tokenizer) : { before: 0, behind: 0 };
  const [plain] = embedder.tokenize([""], { ...kind, prompt: "" });
  const [prompted] = embedder.tokenize([""], kind);
  /** Special tokens and prompt before a window, and special tokens behind it. */
  const head = prompted.subarray(0, prompted.length - frame.behind);
  const tail = plain.subarray(plain.length - frame.behind);
  const limit = Math.min(settings.maxLength, settings.roles[kind.role ?? "document"]?.maxLength ?? settings.maxLength);
  const room = limit - head.length - tail.length;
  const chunkTokens = wanted ?? room;
  checkSizes(room, chunkTokens, overlap);
  const counts: LongTextCounts = { ...emptyCounts(), longTexts: 0, windows: 0, vectors: 0 };

  const tokenized = texts.map((text): TokenizedText => {
    const encoding = tokenizer.encode(prepareText(text, { ...settings, prompt: "" }), {
      addSpecialTokens: false,
      truncation: false,
      padding: false,
    });
    return { ids: encoding.ids, spans: encoding.offsets, words: encoding.wordIds };
  });
  // Windows are what the encoder reads; chunks are what vectors stand for.
  const late = strategy === "late-chunk";
  if (late && !poolsStates(embedder)) {
    throw new ClozeError(
      "INVALID_OPTION",
      "Chunks of states are pooled where the encoder's states are what is pooled",
      {
        expected: "truncate, chunk or window-mean",
        received: "late-chunk, and modules before the pooling",
        remedy: "Take chunk (--long chunk): each chunk is read alone.",
      },
    );
  }
  const reading = tokenized.map((text) => {
    if (strategy === "truncate") return [[0, Math.min(text.ids.length, room)] as [number, number]];
    return windowsOf(text, late ? room : chunkTokens, late ? Math.floor(room / 4) : overlap);
  });
  const sequences = reading.flatMap((windows, text) => windows.map(([start, end]) => ({ text, start, end })));
  const framed = sequences.map(({ text, start, end }) => {
    const ids = new Int32Array(head.length + end - start + tail.length);
    ids.set(head);
    ids.set(tokenized[text].ids.subarray(start, end), head.length);
    ids.set(tail, head.length + end - start);
    return ids;
  });
  reading.forEach((windows, text) => {
    const whole = tokenized[text].ids.length;
    const read = windows[windows.length - 1][1];
    counts.longTexts += Number(windows.length > 1 || read < whole);
    counts.truncatedTexts += Number(read < whole);
    counts.droppedTokens += whole - read;
  });
  counts.texts = texts.length;
  counts.windows = sequences.length;
  counts.tokens = framed.reduce((sum, { length }) => sum + length, 0);

  const chunksOf = (text: number, windows: readonly (readonly [number, number])[]): EmbeddedChunk[] =>
    windows.map(([start, end], chunk) => {
      const { spans } = tokenized[text];
      return {
        text,
        chunk,
        start: end > start ? spans[start][0] : 0,
        end: end > start ? spans[end - 1][1] : 0,
        tokens: end - start,
      };
    });
  const finish = (x: Tensor): Tensor => (settings.normalize ? normalizeRows(x) : x);
  let done = 0;
  const groups = groupByTokenBudget(
    framed.map(({ length }) => length),
    tokenBudget,
  );
  /** Runs all windows; the work gets each batch's places. */
  const eachBatch = (work: (group: readonly number[], batch: ReturnType<Embedder["packTokens"]>) => void) => {
    for (const group of groups) {
      scope(() =>
        noGrad(() =>
          work(
            group,
            embedder.packTokens(
              group.map((i) => framed[i]),
              kind,
            ),
          ),
        ),
      );
      done += group.length;
      onProgress?.(done, framed.length);
    }
  };
  const result = (vectors: Tensor, chunks: EmbeddedChunk[]): LongTextVectors => {
    counts.vectors = chunks.length;
    return { vectors, chunks, counts };
  };
  const copyRows = (from: Tensor, to: Tensor, places: readonly number[]) => {
    places.forEach((place, row) => {
      from.storage.backend.copy(from.pointer + 4 * row * width, to.pointer + 4 * place * width, width, "float32");
    });
  };

  if (!late) {
    const vectors = empty([sequences.length, width]);
    eachBatch((group, batch) => {
      const hidden = embedder.hiddenOf(batch);
      copyRows(finish(embedder.poolTokens(hidden, batch)), vectors, group);
    });
    const chunks = reading.flatMap((windows, text) => chunksOf(text, windows));
    if (strategy !== "window-mean") return result(vectors, chunks);
    const all = vectors.toTypedArray() as Float32Array;
    const means = new Float32Array(texts.length * width);
    chunks.forEach(({ text, tokens }, i) => {
      const weight = Math.max(1, tokens);
      for (let c = 0; c < width; c++) means[text * width + c] += weight * all[i * width + c];
    });
    reading.forEach((windows, text) => {
      const total = windows.reduce((sum, [start, end]) => sum + Math.max(1, end - start), 0);
      for (let c = 0; c < width; c++) means[text * width + c] /= total;
    });
    vectors.dispose();
    const whole = reading.map((windows, text) => {
      const [from, to] = [windows[0], windows[windows.length - 1]];
      return chunksOf(text, [[from[0], to[1]]])[0];
    });
    return result(
      scope(() => noGrad(() => finish(tensor(means, [texts.length, width])))),
      whole,
    );
  }

  // Late chunking: the states of all tokens first. Where windows overlap, the first half belongs to the earlier one.
  const starts = endsOf(tokenized.map(({ ids }) => Math.max(1, ids.length)));
  const hiddenSize = embedder.model.config.hiddenSize;
  const states = new Float32Array(starts[starts.length - 1] * hiddenSize);
  eachBatch((group, batch) => {
    const hidden = embedder.hiddenOf(batch).toTypedArray() as Float32Array;
    group.forEach((i, row) => {
      const { text, start, end } = sequences[i];
      const windows = reading[text];
      const place = windows.findIndex(([from]) => from === start);
      const before = place === 0 ? start : Math.ceil((start + windows[place - 1][1]) / 2);
      const after = place + 1 < windows.length ? Math.ceil((windows[place + 1][0] + end) / 2) : end;
      const first = batch.offsets[row] + head.length - start;
      // A text without tokens of its own is what stands around it.
      const own =
        tokenized[text].ids.length === 0 ? ([0, 1, batch.offsets[row]] as const) : ([before, after, first] as const);
      states.set(
        hidden.subarray((own[2] + own[0]) * hiddenSize, (own[2] + own[1]) * hiddenSize),
        (starts[text] + own[0]) * hiddenSize,
      );
    });
  });
  const parts = tokenized.map((text) => windowsOf(text, chunkTokens, overlap));
  const chunks = parts.flatMap((windows, text) => chunksOf(text, windows));
  const places = parts.flatMap((windows, text) =>
    windows.map(([start, end]) => [starts[text] + start, starts[text] + Math.max(start + 1, end)] as const),
  );
  const vectors = empty([chunks.length, width]);
  const pooledGroups = groupByTokenBudget(
    places.map(([start, end]) => end - start),
    tokenBudget,
    { keepOrder: true },
  );
  for (const group of pooledGroups) {
    scope(() =>
      noGrad(() => {
        const rows = group.flatMap((i) =>
          Array.from({ length: places[i][1] - places[i][0] }, (_, t) => places[i][0] + t),
        );
        const ends = endsOf(group.map((i) => places[i][1] - places[i][0]));
        const least = Math.min(...rows);
        const most = Math.max(...rows);
        const near = tensor(states.subarray(least * hiddenSize, (most + 1) * hiddenSize), [
          most + 1 - least,
          hiddenSize,
        ]);
        const hidden = take(near, tensor(Int32Array.from(rows, (row) => row - least)));
        const empties = new Int32Array(rows.length);
        const batch = { ids: empties, segments: empties, positions: empties, offsets: Int32Array.from(ends) };
        copyRows(finish(embedder.poolTokens(hidden, batch)), vectors, group);
      }),
    );
  }
  return result(vectors, chunks);
}
