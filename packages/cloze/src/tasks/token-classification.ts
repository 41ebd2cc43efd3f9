// A tag for each word; entities as spans of characters.
import { z } from "zod";
import {
  convertTags,
  guessTagScheme,
  parseTagSteps,
  readTaskRows,
  type TagScheme,
  type TokenRow,
  tagSchemes,
} from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { allowedTransitions, viterbiSteps } from "../heads/crf.js";
import { classScores, confusionMatrix } from "../metrics/classification.js";
import { entityReport } from "../metrics/entities.js";
import { atOnce, type Steps } from "../text/index.js";
import {
  checkSeveralLabels,
  labelNumbers,
  labelWeights,
  namesOfHead,
  reconcileNames,
  sortLabels,
  warnUnseen,
  weightsInOrder,
  weightsOption,
} from "./label-map.js";
import { joinNumbers, joinRows, placeOfLargest, rowsOfTokens, softmaxOf } from "./outputs.js";
import { defineTask, type EncodeContext, type Example, type Scores } from "./task.js";
import { textWindowSteps } from "./windows.js";

const settingsSchema = z.strictObject({
  /** The tags. */
  names: z.array(z.string()).min(2).readonly(),
  /** How tags mark entities; absent: they mark none (parts of speech). */
  scheme: z.enum(tagSchemes).optional(),
  /** How the tags of the training data marked them, where it was another way. */
  dataScheme: z.enum(tagSchemes).optional(),
  /** The head is a conditional random field. */
  crf: z.boolean().optional(),
  /** Only tags that the scheme allows next to each other are predicted. */
  constrained: z.boolean().optional(),
  /** Tokens that windows of a long text share. */
  stride: z.int().min(0),
  weights: z.record(z.string(), z.number().positive()).readonly().optional(),
});
type Settings = z.output<typeof settingsSchema>;

const optionsSchema = z.strictObject({
  tagScheme: z
    .enum(tagSchemes)
    .optional()
    .describe("scheme to learn; tags of the data are converted (default: theirs)"),
  crf: z.boolean().optional().describe("a conditional random field: tags of neighbours are decided together"),
  constrained: z.boolean().optional().describe("predict only sequences of tags that the scheme allows"),
  stride: z.int().min(0).optional().describe("tokens that the windows of a long text share (default 32)"),
  classWeights: weightsOption,
});

/** An entity: `text.slice(start, end)`. */
export interface Entity {
  readonly start: number;
  readonly end: number;
  readonly label: string;
  readonly text: string;
  /** Mean probability of its words' tags. */
  readonly score: number;
}

export interface TokenPrediction {
  /** What the spans are about: the row's text, or its words with spaces between them. */
  readonly text: string;
  readonly entities: readonly Entity[];
  /** One for each word. */
  readonly tags: readonly string[];
}

export interface TokenDetails {
  readonly text: string;
  /** `[start, end)` of each word in the text. */
  readonly words: readonly (readonly [number, number])[];
  /** Of each window: the word whose first piece a token is, else -1. */
  readonly firstPieces: readonly Int32Array[];
}

function tagsOf({ tags, row }: TokenRow): readonly string[] {
  if (tags !== undefined) return tags;
  throw new ClozeError("ROW_UNLABELLED", `Row ${row} has no tags`, {
    remedy: "Name the column with --column tags=… (or spans=…), or leave the row out.",
  });
}

/** The text that words stand in, and where. */
function placed({ tokens, text, offsets }: TokenRow): Pick<TokenDetails, "text" | "words"> {
  if (text !== undefined && offsets !== undefined) return { text, words: offsets };
  let at = 0;
  const words = tokens.map((token): [number, number] => {
    const start = at;
    at += token.length + 1;
    return [start, start + token.length];
  });
  return { text: tokens.join(" "), words };
}

/** Words of a step of predicting. */
const stepWords = 1024;

/** The first word that ends behind a place. */
function wordBehind(words: TokenDetails["words"], place: number): number {
  let [low, high] = [0, words.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle][1] <= place) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Encodes a row; in long texts every word stands in at least one window, and has its label in each. */
function* encodeSteps(row: TokenRow, settings: Settings, context: EncodeContext): Steps<Example<TokenDetails>> {
  const { text, words } = placed(row);
  const windows = yield* textWindowSteps(context.tokenizer, text, context.maxLength, settings.stride);
  if (windows.length > 1) {
    context.warnings.add(
      "TEXT_WINDOWS",
      `texts longer than ${context.maxLength} tokens; they were read in windows`,
      `row ${row.row}, ${windows.length} windows`,
    );
  }
  const seen = new Uint8Array(words.length);
  const firstPieces: Int32Array[] = [];
  for (const { ids, starts, ends } of windows) {
    const first = new Int32Array(ids.length).fill(-1);
    let word = wordBehind(words, starts.find((start) => start >= 0) ?? 0);
    let last = -1;
    for (let token = 0; token < ids.length; token++) {
      if (starts[token] < 0) continue;
      while (word < words.length && words[word][1] <= starts[token]) word++;
      // A byte-level piece may begin with the space before its word.
      if (word >= words.length || ends[token] <= words[word][0] || word === last) continue;
      first[token] = word;
      last = word;
      seen[word] = 1;
    }
    firstPieces.push(first);
    yield;
  }
  const unseen = seen.reduce((count, one) => count + 1 - one, 0);
  if (unseen > 0) {
    context.warnings.add(
      "WORD_WITHOUT_TOKEN",
      "words that the tokenizer gives no token of their own; they are tagged as outside",
      `row ${row.row}, ${JSON.stringify(row.tokens[seen.indexOf(0)])}`,
      unseen,
    );
  }
  const sequences = windows.map(({ ids, segments }) => ({ ids, segments }));
  const details = { text, words, firstPieces };
  if (!context.training) return { sequences, details };
  const numbers = inScheme(tagsOf(row), settings, settings.dataScheme).map(labelNumbers(settings.names));
  const labels = firstPieces.flatMap((window) => Array.from(window, (word) => (word < 0 ? -100 : numbers[word])));
  return { sequences, labels: Int32Array.from(labels), details };
}

/** Tags of the data in the model's scheme. */
const inScheme = (tags: readonly string[], { scheme }: Settings, from = scheme): readonly string[] =>
  scheme === undefined || from === undefined || from === scheme ? tags : convertTags(tags, from, scheme);

/** Emissions of each word [names], from the window where it stands furthest from the edges; undefined where it has none. */
function* emissionSteps(
  { words, firstPieces }: TokenDetails,
  outputs: Float32Array,
  { names, crf }: Settings,
): Steps<{ emissions: (Float32Array | undefined)[]; transitions?: Float32Array }> {
  const width = names.length;
  const emissions = new Array<Float32Array | undefined>(words.length).fill(undefined);
  const margins = new Float64Array(words.length).fill(-1);
  let at = 0;
  for (const window of firstPieces) {
    window.forEach((word, token) => {
      const margin = Math.min(token, window.length - 1 - token);
      if (word < 0 || margin <= margins[word]) return;
      margins[word] = margin;
      emissions[word] = outputs.subarray(at + token * width, at + (token + 1) * width);
    });
    at += window.length * width + (crf === true ? (width + 2) * width : 0);
    yield;
  }
  return { emissions, transitions: crf === true ? outputs.subarray(at - (width + 2) * width, at) : undefined };
}

function* predictSteps(details: TokenDetails, outputs: Float32Array, settings: Settings): Steps<TokenPrediction> {
  const { names, scheme, constrained } = settings;
  const { emissions, transitions } = yield* emissionSteps(details, outputs, settings);
  const asked: { readonly word: number; readonly one: Float32Array }[] = [];
  for (const [word, one] of emissions.entries()) {
    if (one !== undefined) asked.push({ word, one });
    if (word % stepWords === 0) yield;
  }
  const outside = names.includes("O") ? "O" : names[0];
  const tags = new Array<string>(details.words.length).fill(outside);
  const scores = new Float64Array(tags.length).fill(1);
  const allowed = constrained === true && scheme !== undefined ? allowedTransitions(names, scheme) : undefined;
  // Without rules for neighbours each word is decided alone.
  const path =
    transitions === undefined && allowed === undefined
      ? undefined
      : yield* viterbiSteps(joinNumbers(asked.map(({ one }) => one)), names.length, { transitions, allowed });
  for (const [i, { word, one }] of asked.entries()) {
    const tag = path === undefined ? placeOfLargest(one) : path[i];
    tags[word] = names[tag];
    scores[word] = softmaxOf(one)[tag];
    if (i % stepWords === 0) yield;
  }
  const { text, words } = details;
  const spans = scheme === undefined ? [] : (yield* parseTagSteps(tags, scheme)).spans;
  const entities: Entity[] = [];
  for (const { start, end, label } of spans) {
    const [from, to] = [words[start][0], words[end - 1][1]];
    const score = scores.slice(start, end).reduce((sum, one) => sum + one, 0) / (end - start);
    entities.push({ start: from, end: to, label, text: text.slice(from, to), score });
    if (entities.length % stepWords === 0) yield;
  }
  return { text, entities, tags };
}

/** Tags as seqeval reads them: it knows no L and U. */
const readable = (tags: readonly string[], scheme: TagScheme): readonly string[] =>
  scheme === "BILOU" ? convertTags(tags, "BILOU", "BIOES") : tags;

function score(
  gold: readonly (readonly string[])[],
  predictions: readonly TokenPrediction[],
  settings: Settings,
): Scores {
  const { scheme } = settings;
  const words = gold.flat();
  const predicted = predictions.flatMap(({ tags }) => tags);
  const accuracy = words.filter((tag, i) => tag === predicted[i]).length / words.length;
  if (scheme === undefined) {
    const names = sortLabels([...words, ...predicted]);
    const numberOf = labelNumbers(names);
    const [labels, numbers] = [words.map(numberOf), predicted.map(numberOf)];
    const classes = classScores(labels, numbers);
    return {
      values: { accuracy, macroF1: classes.reduce((sum, { f1 }) => sum + f1, 0) / classes.length },
      confusion: { names, counts: confusionMatrix(labels, numbers, { classes: names.map((_, i) => i) }) },
    };
  }
  const { micro, macro, types } = entityReport(
    gold.map((tags) => readable(tags, scheme)),
    predictions.map(({ tags }) => readable(tags, scheme)),
  );
  const byType = types.map(({ type, f1 }) => [`f1.${type}`, f1] as const);
  const { f1, precision, recall } = micro;
  return { values: { f1, precision, recall, macroF1: macro.f1, accuracy, ...Object.fromEntries(byType) } };
}

/**
 * A tag for each word, from CoNLL columns or from spans of characters; entity-level F1 as seqeval counts it. The first piece
 * of a word is labelled; long texts are read in windows.
 */
export const tokenClassification = defineTask<TokenRow, Settings, TokenPrediction, TokenDetails>({
  name: "token-classification",
  description: "a tag for each word: entities as spans of characters",
  defaults: { maxLength: 128, batchSize: 32, learningRate: 1e-4, epochs: 3 },
  options: optionsSchema,
  settings: settingsSchema,
  texts: ({ tokens }) => [tokens.join(" ")],
  read: (input, options) => readTaskRows("token-classification", input, options),
  prepare(rows, options) {
    const { tagScheme, crf, constrained, stride = 32, classWeights } = optionsSchema.parse(options);
    const found = guessTagScheme(rows.map(tagsOf));
    if (tagScheme !== undefined && found === undefined) {
      throw new ClozeError("TAG_SCHEME", "The data's tags are of no known scheme, so they cannot be converted", {
        expected: tagSchemes.join(", "),
        received: sortLabels(rows.slice(0, 100).flatMap(tagsOf)).slice(0, 8).join(", "),
      });
    }
    const scheme = tagScheme ?? found;
    const common = { scheme, crf, constrained, stride, ...(found !== scheme && { dataScheme: found }) };
    const tags = rows.flatMap((row) => inScheme(tagsOf(row), { ...common, names: [] }, found));
    const names = sortLabels(tags);
    checkSeveralLabels(names, "tags");
    return { ...common, names, weights: labelWeights(classWeights, tags, names) };
  },
  head: ({ names, crf }) => ({ architecture: "ForTokenClassification", labels: names.length, names, crf }),
  fromHead(head) {
    if (head.type !== "token-classification" || head.labels < 2) return undefined;
    const names = namesOfHead(head);
    return { names, scheme: guessTagScheme([names]), crf: head.crf, stride: 32 };
  },
  reconcile: (wanted, inModel) => ({ ...wanted, names: reconcileNames(wanted.names, inModel.names) }),
  encode: (row, settings, context) => atOnce(encodeSteps(row, settings, context)),
  encodeSteps,
  inputs: (batch, { weights, names }) => ({
    batch,
    labels: { labels: batch.labels, classWeights: weightsInOrder(weights, names) },
  }),
  outputs(output, batch, { crf }) {
    if (crf !== true) return rowsOfTokens(output.logits, batch);
    // Rules of the random field follow the emissions of each sequence.
    const rules = output.transitions?.toTypedArray() as Float32Array;
    const bySequence = { ...batch, rowOffsets: Int32Array.from(batch.offsets.keys()) };
    const blocks = rowsOfTokens(output.logits, bySequence).map((emissions) => {
      const block = new Float32Array(emissions.length + rules.length);
      block.set(emissions);
      block.set(rules, emissions.length);
      return block;
    });
    return joinRows(blocks, batch.rowOffsets);
  },
  predict: (_, { details }, outputs, settings) => atOnce(predictSteps(details, outputs, settings)),
  predictSteps: (_, { details }, outputs, settings) => predictSteps(details, outputs, settings),
  checkGold: (rows) => rows.forEach((row) => void tagsOf(row)),
  score(rows, predictions, settings, warnings) {
    const from = guessTagScheme(rows.map(tagsOf));
    const gold = rows.map((row) => inScheme(tagsOf(row), settings, from));
    const found = rows.flatMap(({ row }, i) => gold[i].map((tag) => [tag, row] as const));
    warnUnseen(found, settings.names, warnings);
    return score(gold, predictions, settings);
  },
  headline: ({ scheme }) => (scheme === undefined ? "accuracy" : "f1"),
});
