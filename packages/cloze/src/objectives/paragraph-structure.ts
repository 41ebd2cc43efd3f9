// Objectives that copy answer-sentence selection (arXiv 2205.10455, 2309.08272): do two texts stand in one paragraph, was a
// span cut out of a paragraph, do two paragraphs stand in one document? With a context of the second text as a third one
// (2305.15358), if asked. Masked words are predicted beside.
import { add, crossEntropy, mul, type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { DocumentSource } from "../data/document-source.js";
import { packSequences, type Sequence } from "../data/packed-batch.js";
import type { RandomSource } from "../data/random-source.js";
import type { EncoderBatch } from "../encoder/batch.js";
import { encoderFlops } from "../encoder/flops.js";
import { ClozeError } from "../errors.js";
import { headFlops } from "./head-flops.js";
import { maskedBeside } from "./masked-beside.js";
import { maskTokens } from "./masking.js";
import { cannotCombine, defineObjective } from "./objective.js";
import { createClassifier } from "./pairs/classifier.js";
import { contextSequence, pairSequence } from "./pairs/pair-batch.js";
import { contextOf, pairContexts } from "./pairs/pair-context.js";
import { pairMakers } from "./pairs/paragraph-pairs.js";

const type = "paragraph-structure";
const tasks = ["same-paragraph", "span-in-paragraph", "same-document"] as const;

const schema = z.strictObject({
  type: z.literal(type),
  task: z
    .enum([...tasks, "all"])
    .default("same-paragraph")
    .describe("what is asked: same-paragraph, span-in-paragraph, same-document, or all in turn"),
  negatives: z.int().min(1).default(4).describe("pairs that do not belong together for each that does, at most (4)"),
  hardNegatives: z.int().min(0).default(2).describe("of these, from the same document, at most (2)"),
  firstSentences: z.int().min(1).default(1).describe("sentences of a first span, at most (1)"),
  secondSentences: z.int().min(1).default(2).describe("sentences of a second span, at most (2)"),
  context: z
    .enum(["none", ...pairContexts])
    .default("none")
    .describe(
      "a third text, of the second one's document: its first paragraph (static), any (dynamic), the sentences around (local)",
    ),
  order: z.enum(["same", "following"]).default("same").describe("following: second spans stand after first ones"),
  structureWeight: z
    .number()
    .min(0)
    .default(1)
    .describe("what the loss of pairs is multiplied by (1); 0: masked words only"),
  ...maskedBeside,
});

/** A batch of pairs. */
export interface PairBatch {
  readonly batch: EncoderBatch;
  /** Masked tokens, and what stood there. */
  readonly rows: Int32Array;
  readonly targets: Int32Array;
  /** 1: they belong together. [sequences] */
  readonly labels: Int32Array;
}

export const paragraphStructure = defineObjective({
  schema,
  description: "do two texts stand in one paragraph, or document? (SSP, SP, PSD; arXiv 2309.08272)",
  aliases: {
    ssp: { task: "same-paragraph" },
    sp: { task: "span-in-paragraph" },
    psd: { task: "same-document" },
    "ssp-sp-psd": { task: "all" },
    "ssp-context": { task: "same-paragraph", context: "static" },
  },
  input: "documents",
  architecture: "ForMaskedLM",
  heads: ["masked-language", "pretraining"],
  check({ context, task }, { maxPositions, segmentVocabularySize }) {
    if (maxPositions < 8) {
      throw cannotCombine("Two texts need more positions", { expected: "at least 8", received: String(maxPositions) });
    }
    if (context === "none") return;
    if (context === "local" && task !== "same-paragraph") {
      throw cannotCombine("Only spans have sentences around them", {
        expected: "task=same-paragraph",
        received: `task=${task}`,
        remedy: "Set context=static or context=dynamic.",
      });
    }
    if (segmentVocabularySize !== 2) return;
    throw cannotCombine("Two texts and a context need a segment each", {
      expected: "3 segments",
      received: "2",
      remedy: "Give the model more: --segments 3 (extendSegments in the library).",
    });
  },
  create(config, { model, vocabulary, maxLength, batchTokens, seed }) {
    const classifier = createClassifier(type, 2, model.encoder.config, seed);
    const segments = model.encoder.config.segmentVocabularySize;
    function sequencesOf(documents: DocumentSource, position: number, random: RandomSource) {
      const task = config.task === "all" ? tasks[Math.floor(random() * tasks.length)] : config.task;
      const fit = { maxLength, segments };
      return pairMakers[task](documents, position, random, config).map((pair) => ({
        sequence:
          config.context === "none"
            ? pairSequence(pair.first, pair.second, vocabulary, fit)
            : contextSequence(pair, contextOf(pair, documents, config.context, random), vocabulary, fit),
        label: pair.label,
      }));
    }
    return {
      parameters: classifier.parameters,
      state: new Map(),
      draw(documents, positions, random): PairBatch {
        const sequences: Sequence[] = [];
        const labels: number[] = [];
        let tokens = 0;
        // Spans are shorter than their documents, so these are visited again until the batch is full.
        for (let visit = 0, idle = 0; tokens < batchTokens && idle < 2 * positions.length + 64; visit++) {
          const own = visit < positions.length;
          const position = own ? positions[visit] : Math.floor(random() * documents.count);
          const found = sequencesOf(documents, position, random);
          idle = found.length === 0 ? idle + 1 : 0;
          for (const { sequence, label } of found) {
            sequences.push(sequence);
            labels.push(label);
            tokens += sequence.ids.length;
          }
        }
        if (sequences.length === 0) {
          throw new ClozeError("OBJECTIVE_CORPUS", "The documents have nothing to pair", {
            expected: "paragraphs of several sentences, and several paragraphs",
            remedy: "Separate paragraphs by a blank line, and documents by two.",
          });
        }
        const masked = maskTokens(packSequences(sequences), vocabulary, random, { rate: config.rate });
        return { ...masked, labels: Int32Array.from(labels) };
      },
      loss({ batch, rows, targets, labels }, { seed: at, recompute, training = true }) {
        const { maskedLanguageWeight, structureWeight } = config;
        const asked = maskedLanguageWeight > 0 ? { rows, targets, lossOnly: true } : { rows: new Int32Array(0) };
        const { hidden, loss } = model.forward(batch, { ...asked, training, seed: at, recompute });
        const first = take(hidden, tensor(batch.offsets.slice(0, -1)));
        const found = mul(crossEntropy(classifier.logits(first), tensor(labels)), structureWeight);
        return maskedLanguageWeight > 0 ? add(found, mul(loss as Tensor, maskedLanguageWeight)) : found;
      },
      tokens: ({ batch }) => batch.ids.length,
      flops: ({ batch, rows, labels }) =>
        3 *
        (encoderFlops(model.encoder.config, batch.offsets) +
          (config.maskedLanguageWeight > 0 ? headFlops(model, rows.length) : 0) +
          classifier.flops(labels.length)),
      dispose: classifier.dispose,
    };
  },
});
