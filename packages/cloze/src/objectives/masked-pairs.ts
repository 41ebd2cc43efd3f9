// Masked words with a question about two segments: does the second follow the first (NSP, arXiv 1810.04805), do they stand in
// their order (SOP, arXiv 1909.11942), or none (arXiv 2407.00648).
import { z } from "zod";
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import type { RandomSource } from "../data/random-source.js";
import { encoderFlops } from "../encoder/flops.js";
import { headFlops } from "./head-flops.js";
import { choiceFields, shareSchema } from "./masked-language.js";
import { type MaskedBatch, maskTokens } from "./masking.js";
import { defineObjective, lossOf, nothingBeside, type ObjectiveVocabulary } from "./objective.js";
import { replacementFields, replacementOf } from "./replacements.js";

const sentenceTasks = ["none", "nsp", "sop"] as const;
/** What is asked about two segments. */
export type SentenceTask = (typeof sentenceTasks)[number];

const schema = z.strictObject({
  type: z.literal("masked-pairs"),
  ...choiceFields,
  maskShare: shareSchema.default(0.8).describe("of the chosen tokens, the share that becomes [MASK] (0.8)"),
  randomShare: shareSchema.default(0.1).describe("the share that becomes a random token (0.1); the rest stays"),
  ...replacementFields,
  sentenceTask: z
    .enum(sentenceTasks)
    .default("nsp")
    .describe("nsp: does the second segment follow the first; sop: do they stand in order; none: masked words alone"),
});

/** Pairs of segments before their tokens are masked. */
export interface SegmentPairs {
  readonly batch: PackedBatch;
  /** NSP: 0 where the second segment follows; SOP: 0 where they stand in order. [pairs] */
  readonly labels: Int32Array;
  /** The sequence that the second segment comes from. [pairs] */
  readonly partners: Int32Array;
}

/** [CLS] first [SEP] second [SEP] with segments 0 and 1; the longer one is shortened at its end until both fit. */
export function joinSegments(
  first: Int32Array,
  second: Int32Array,
  { clsId, sepId }: Pick<ObjectiveVocabulary, "clsId" | "sepId">,
  maxLength: number,
): { ids: Int32Array; segments: Int32Array } {
  const room = maxLength - 3;
  const half = Math.floor(room / 2);
  const a = first.subarray(0, Math.max(Math.min(first.length, half), room - second.length));
  const b = second.subarray(0, room - a.length);
  const ids = Int32Array.from([clsId, ...a, sepId, ...b, sepId]);
  return { ids, segments: ids.map((_, i) => Number(i >= a.length + 2)) };
}

/**
 * Cuts each sequence of a batch into two segments and asks about them: with a chance of one half the second one is that of
 * another sequence of the batch (NSP), or both change places (SOP). Sequences of one token stay as they are, in order.
 */
export function makePairs(
  batch: PackedBatch,
  task: Exclude<SentenceTask, "none">,
  vocabulary: ObjectiveVocabulary,
  maxLength: number,
  random: RandomSource,
): SegmentPairs {
  const { specialIds } = vocabulary;
  const halves = Array.from({ length: batch.offsets.length - 1 }, (_, s) => {
    const ids = batch.ids.subarray(batch.offsets[s], batch.offsets[s + 1]).filter((id) => !specialIds.has(id));
    // Anywhere in the middle half, but not inside a word.
    let cut = Math.max(1, Math.floor(ids.length * (0.25 + 0.5 * random())));
    while (cut < ids.length && vocabulary.isContinuation?.(ids[cut]) === true) cut++;
    return [ids.subarray(0, cut), ids.subarray(cut)] as const;
  });
  const labels = new Int32Array(halves.length);
  const partners = new Int32Array(halves.length);
  const pairs = halves.map(([first, second], s) => {
    partners[s] = s;
    const changed = random() < 0.5;
    if (!changed || second.length === 0) return joinSegments(first, second, vocabulary, maxLength);
    if (task === "sop") {
      labels[s] = 1;
      return joinSegments(second, first, vocabulary, maxLength);
    }
    const others = halves.length - 1;
    if (others === 0) return joinSegments(first, second, vocabulary, maxLength);
    const drawn = Math.floor(random() * others);
    const other = drawn >= s ? drawn + 1 : drawn;
    const replacement = halves[other][1].length > 0 ? halves[other][1] : halves[other][0];
    labels[s] = 1;
    partners[s] = other;
    return joinSegments(first, replacement, vocabulary, maxLength);
  });
  return { batch: packSequences(pairs), labels, partners };
}

interface MaskedPairs extends MaskedBatch {
  /** Undefined: nothing is asked about segments. */
  readonly nextSentence?: Int32Array;
}

export const maskedPairs = defineObjective({
  schema,
  description: "predict masked tokens and tell whether two segments belong together (BERT; SOP, ALBERT)",
  aliases: { nsp: {}, sop: { sentenceTask: "sop" } },
  input: "sequences",
  architecture: "ForPreTraining",
  heads: ["pretraining"],
  create(config, frame) {
    const { model, vocabulary, maxLength } = frame;
    const options = { ...config, replacement: replacementOf(config, frame) };
    const { sentenceTask } = config;
    const hasSegments = model.encoder.config.segmentVocabularySize > 1;
    return {
      ...nothingBeside,
      prepare(batch, random): MaskedPairs {
        if (sentenceTask === "none") return maskTokens(batch, vocabulary, random, options);
        const pairs = makePairs(batch, sentenceTask, vocabulary, maxLength, random);
        const packed = hasSegments ? pairs.batch : { ...pairs.batch, segments: new Int32Array(pairs.batch.ids.length) };
        return { ...maskTokens(packed, vocabulary, random, options), nextSentence: pairs.labels };
      },
      loss: ({ batch, rows, targets, nextSentence }, { seed, recompute, training = true }) =>
        lossOf(model.forward(batch, { rows, targets, nextSentence, lossOnly: true, training, seed, recompute })),
      tokens: ({ batch }) => batch.ids.length,
      flops: ({ batch, rows }) =>
        3 * (encoderFlops(model.encoder.config, batch.offsets) + headFlops(model, rows.length)),
    };
  },
});
