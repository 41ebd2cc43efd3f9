// The words that stand at masks: cloze tests, and probing what a language model knows.
import { softmax, topK } from "@cloze/tensor";
import { z } from "zod";
import type { Sequence } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { readTaskRows, type TextRow } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import type { Tokenizer } from "../text/index.js";
import { encodeText } from "./encode-text.js";
import type { MaskPrediction } from "./fill-mask.js";
import { defineTask, type EncodeContext, type Example } from "./task.js";

const settingsSchema = z.strictObject({ top: z.int().min(1) });
const optionsSchema = z.strictObject({
  top: z.int().min(1).max(1000).optional().describe("predictions that are listed for each mask (default 10)"),
});
/** Of a text without masks, the share of tokens that is hidden; BERT's. */
const hiddenShare = 0.15;

export interface MaskedWordsPrediction {
  /** The best predictions of each mask, best first. */
  readonly masks: readonly (readonly MaskPrediction[])[];
  /** What stands there, where it is known. */
  readonly expected?: readonly string[];
}

/** What predicting a row needs again. */
export interface MaskedWordsDetails {
  /** The token of each mask; undefined where it is not known. */
  readonly expected?: readonly string[];
  readonly tokenizer: Tokenizer;
}

/** The words of a row's masks, in their order. */
function wordsOf({ label }: TextRow, masks: number): readonly string[] | undefined {
  if (label === undefined) return undefined;
  if (Array.isArray(label)) return label;
  return masks > 1 ? String(label).trim().split(/\s+/) : [String(label).trim()];
}

/** The one piece that a word is, or -100. Byte-level vocabularies hold most words with the space before them. */
function pieceOf(word: string, tokenizer: Tokenizer): number {
  for (const text of [` ${word}`, word]) {
    const ids = tokenizer.encodeIds(text, { addSpecialTokens: false, truncation: false });
    if (ids.length === 1 && !tokenizer.specialIds.has(ids[0])) return ids[0];
  }
  return -100;
}

/** Hides tokens of a text without masks, the same ones each time. */
function hideSome({ ids: given, ...rest }: Sequence, row: number, tokenizer: Tokenizer) {
  const random = randomSource(row, 15);
  const ids = Int32Array.from(given);
  const places = Array.from(ids.keys()).filter((at) => !tokenizer.specialIds.has(ids[at]));
  const hidden = ids.slice();
  const targets: number[] = [];
  const certain = places.length === 0 ? -1 : places[Math.floor(random() * places.length)];
  for (const at of places) {
    if (random() >= hiddenShare && at !== certain) continue;
    targets.push(ids[at]);
    hidden[at] = tokenizer.maskId;
  }
  return { sequence: { ...rest, ids: hidden }, targets };
}

function encodeMasked(row: TextRow, context: EncodeContext): Example<MaskedWordsDetails> {
  const { tokenizer, warnings } = context;
  const sequence = encodeText(row, context);
  const masks = Array.from(sequence.ids).filter((id) => id === tokenizer.maskId).length;
  const token = (id: number): string => tokenizer.idToToken(id) ?? "";
  if (masks === 0) {
    if (row.label !== undefined) {
      throw new ClozeError("NO_MASK", `Row ${row.row} has a label, but no mask`, {
        expected: `${token(tokenizer.maskId)} somewhere in its first ${context.maxLength} tokens`,
        received: JSON.stringify(row.text.slice(0, 80)),
      });
    }
    const why = "texts without a mask; some of their tokens are hidden instead, the same ones each time";
    warnings.add("TEXT_UNMASKED", why, `row ${row.row}`);
    const { sequence: hidden, targets } = hideSome(sequence, row.row, tokenizer);
    return {
      sequences: [hidden],
      labels: Int32Array.from(targets),
      details: { expected: targets.map(token), tokenizer },
    };
  }
  const words = wordsOf(row, masks);
  if (words === undefined) {
    if (context.training) {
      throw new ClozeError("ROW_UNLABELLED", `Row ${row.row} does not say what stands at its mask`, {
        remedy: "Name the column with --column label=…, or write the word into the text.",
      });
    }
    return { sequences: [sequence], details: { tokenizer } };
  }
  if (words.length !== masks) {
    throw new ClozeError("LABELS_SHAPE", `Row ${row.row} needs a word for each mask`, {
      expected: `${masks} words`,
      received: String(words.length),
      remedy: "Part the words by spaces, give a JSON array, or check that no mask was cut off.",
    });
  }
  const targets = words.map((word) => pieceOf(word, tokenizer));
  targets.forEach((target, i) => {
    if (target >= 0) return;
    const why = "words that are no single piece of the vocabulary: they are not learnt, and count as not found";
    warnings.add("LABEL_PIECES", why, `row ${row.row}: ${words[i]}`);
  });
  const expected = targets.map((target, i) => (target < 0 ? words[i] : token(target)));
  return { sequences: [sequence], labels: Int32Array.from(targets), details: { expected, tokenizer } };
}

/** The rows of a batch in which a mask stands. */
function maskRows(ids: Int32Array, maskId: number): Int32Array {
  const rows: number[] = [];
  ids.forEach((id, row) => {
    if (id === maskId) rows.push(row);
  });
  return Int32Array.from(rows);
}

/** Fill-mask: the word at each mask, by a language model's head. Texts without masks get some. */
export const maskedWords = defineTask<
  TextRow,
  z.output<typeof settingsSchema>,
  MaskedWordsPrediction,
  MaskedWordsDetails
>({
  name: "fill-mask",
  description: "the words that stand at masks",
  defaults: { maxLength: 128, batchSize: 32, learningRate: 5e-5, epochs: 3 },
  options: optionsSchema,
  settings: settingsSchema,
  texts: ({ text }) => [text],
  read: (input, options) => readTaskRows("fill-mask", input, options),
  prepare: (_, options) => ({ top: optionsSchema.parse(options).top ?? 10 }),
  head: () => ({ architecture: "ForMaskedLM" }),
  fromHead: (head) => (head.type === "masked-language" ? { top: 10 } : undefined),
  encode: (row, _, context) => encodeMasked(row, context),
  inputs(batch, _, { tokenizer }) {
    const rows = maskRows(batch.ids, tokenizer.maskId);
    return { batch, labels: { rows, targets: batch.labels as Int32Array | undefined }, asked: { rows } };
  },
  outputs({ logits }, { offsets, rowOffsets }, { top }, { asked }) {
    if (logits === undefined) {
      throw new ClozeError("HEAD_MISMATCH", "This model's head predicts no tokens", {
        remedy: "Load a model that was trained as a masked language model.",
      });
    }
    const best = topK(softmax(logits), Math.min(top, logits.shape[1]));
    const [values, indices] = [best.values.toTypedArray(), best.indices.toTypedArray()];
    const each = best.values.shape[1];
    const rows = asked?.rows ?? new Int32Array(0);
    let mask = 0;
    return Array.from({ length: rowOffsets.length - 1 }, (_, row) => {
      const numbers = [each];
      for (; mask < rows.length && rows[mask] < offsets[rowOffsets[row + 1]]; mask++)
        for (let at = mask * each; at < (mask + 1) * each; at++) numbers.push(indices[at], values[at]);
      return Float32Array.from(numbers);
    });
  },
  predict(_, { details: { expected, tokenizer } }, [each, ...numbers]) {
    const all: MaskPrediction[] = [];
    for (let at = 0; at < numbers.length; at += 2)
      all.push({ token: tokenizer.idToToken(numbers[at]) ?? "", id: numbers[at], probability: numbers[at + 1] });
    const masks = Array.from({ length: all.length / each }, (_, mask) => all.slice(mask * each, (mask + 1) * each));
    return expected === undefined ? { masks } : { masks, expected };
  },
  score(rows, predictions) {
    const ranks = predictions.flatMap(({ masks, expected }, i) => {
      if (expected === undefined) {
        throw new ClozeError("ROW_UNLABELLED", `Row ${rows[i].row} does not say what stands at its mask`, {
          remedy: "Name the column with --column label=…, or leave the row out.",
        });
      }
      return masks.map((mask, m) => 1 + mask.findIndex(({ token }) => token === expected[m]));
    });
    const share = (within: number): number =>
      ranks.filter((rank) => rank > 0 && rank <= within).length / Math.max(1, ranks.length);
    return {
      values: {
        accuracy: share(1),
        accuracyAt5: share(5),
        meanReciprocalRank: ranks.reduce((sum, rank) => sum + (rank > 0 ? 1 / rank : 0), 0) / Math.max(1, ranks.length),
      },
    };
  },
  headline: () => "accuracy",
});
