// Which of several candidates stand in the query's paragraph, all read at once (multi-sentences in paragraph prediction, MSPP;
// arXiv 2205.01228, 2309.08272)? Masked words are predicted beside, with equal weight.
import { add, crossEntropy, mul, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { DocumentSource } from "../data/document-source.js";
import { type RandomSource, randomOrder } from "../data/random-source.js";
import { encoderFlops } from "../encoder/flops.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import { headFlops } from "./head-flops.js";
import { maskedBeside } from "./masked-beside.js";
import { type MaskedBatch, maskTokens } from "./masking.js";
import { defineObjective } from "./objective.js";
import { checkJoint, type JointBatch, type JointTexts, packJoint } from "./pairs/joint-blocks.js";
import { createJointClassifier } from "./pairs/joint-classifier.js";
import { jointFiles } from "./pairs/joint-folder.js";
import { sameParagraphPairs } from "./pairs/paragraph-pairs.js";

const type = "joint-candidates";

const schema = z.strictObject({
  type: z.literal(type),
  candidates: z.int().min(2).default(5).describe("candidates of a query (5): one of its paragraph, the others not"),
  blockTokens: z.int().min(4).default(64).describe("tokens of the query and of each candidate, at most (64)"),
  reads: z
    .enum(["ie-k", "ae-k", "re-k"])
    .default("ie-k")
    .describe("what tells of a candidate: its own vector (ie-k), the query's and its own (ae-k), the query's (re-k)"),
  hardNegatives: z.int().min(0).default(2).describe("candidates from other paragraphs of the document, at most (2)"),
  firstSentences: z.int().min(1).default(1).describe("sentences of a query, at most (1)"),
  secondSentences: z.int().min(1).default(2).describe("sentences of a candidate, at most (2)"),
  structureWeight: z.number().min(0).default(1).describe("what the loss of candidates is multiplied by (1)"),
  ...maskedBeside,
});
type Config = z.output<typeof schema>;

/** Queries with their candidates, words masked. */
export interface JointCandidatesBatch extends MaskedBatch, Omit<JointBatch, "batch"> {
  /** 1: of the query's paragraph. [candidates of all queries] */
  readonly labels: Int32Array;
}

/**
 * A query of a document and its candidates in random order: one of its paragraph, then others of the document and of other
 * documents; undefined where the document has no paragraph of two sentences.
 */
export function jointTexts(
  documents: DocumentSource,
  position: number,
  random: RandomSource,
  options: Pick<Config, "candidates" | "hardNegatives" | "firstSentences" | "secondSentences">,
): (JointTexts & { labels: number[] }) | undefined {
  const pairs = sameParagraphPairs(documents, position, random, { ...options, negatives: options.candidates - 1 });
  // A query with one candidate has nothing to choose.
  if (pairs.length < 2) return undefined;
  const order = Array.from(randomOrder(pairs.length, random));
  return {
    query: pairs[0].first,
    candidates: order.map((i) => pairs[i].second),
    labels: order.map((i) => pairs[i].label),
  };
}

export const jointCandidates = defineObjective({
  schema,
  description: "which of several candidates stand in the query's paragraph, read at once? (MSPP; arXiv 2205.01228)",
  aliases: { mspp: {} },
  input: "documents",
  architecture: "ForMaskedLM",
  heads: ["masked-language", "pretraining"],
  check: checkJoint,
  create(config, { model, vocabulary, batchTokens, seed }) {
    const { config: encoder } = model.encoder;
    const { candidates, reads: kind } = config;
    const classifierShape = { kind, hiddenSize: encoder.hiddenSize, candidates, labels: 2 };
    const classifier = createJointClassifier(
      classifierShape,
      { seed: deriveSeed(seed, type) },
      encoder.initializerRange,
    );
    return {
      parameters: new Map([...classifier.parameters].map(([name, value]) => [`${type}.${name}`, value])),
      state: new Map(),
      draw(documents: DocumentSource, positions, random): JointCandidatesBatch {
        const made: JointTexts[] = [];
        const labels: number[] = [];
        let tokens = 0;
        for (let visit = 0, idle = 0; tokens < batchTokens && idle < 2 * positions.length + 64; visit++) {
          const position = visit < positions.length ? positions[visit] : Math.floor(random() * documents.count);
          const found = jointTexts(documents, position, random, config);
          idle = found === undefined ? idle + 1 : 0;
          if (found === undefined) continue;
          made.push(found);
          labels.push(...found.labels);
          for (const { length } of [found.query, ...found.candidates])
            tokens += Math.min(length + 2, config.blockTokens);
        }
        if (made.length === 0) {
          throw new ClozeError("OBJECTIVE_CORPUS", "The documents have no query with several candidates", {
            expected: "paragraphs of several sentences, and several paragraphs or documents",
            remedy: "Separate paragraphs by a blank line, and documents by two.",
          });
        }
        const joint = packJoint(made, vocabulary, config, encoder.segmentVocabularySize);
        const masked = maskTokens(joint.batch, vocabulary, random, { rate: config.rate });
        return { ...joint, ...masked, labels: Int32Array.from(labels) };
      },
      loss(prepared, { seed: at, recompute, training = true }) {
        const { batch, rows, targets, labels } = prepared;
        const { maskedLanguageWeight, structureWeight } = config;
        const asked = maskedLanguageWeight > 0 ? { rows, targets, lossOnly: true } : { rows: new Int32Array(0) };
        const { hidden, loss } = model.forward(batch, { ...asked, training, seed: at, recompute });
        const logits = classifier.logits(hidden, prepared, { training, seed: deriveSeed(at, type) });
        const found = mul(crossEntropy(logits, tensor(labels)), structureWeight);
        return maskedLanguageWeight > 0 ? add(found, mul(loss as Tensor, maskedLanguageWeight)) : found;
      },
      tokens: ({ batch }) => batch.ids.length,
      flops: (prepared) =>
        3 *
        (encoderFlops(encoder, prepared.batch.offsets) +
          (config.maskedLanguageWeight > 0 ? headFlops(model, prepared.rows.length) : 0) +
          classifier.flops(prepared)),
      save: (folder) =>
        jointFiles.write(
          folder,
          { kind, candidates, blockTokens: config.blockTokens, labels: 2 },
          classifier.parameters,
        ),
      dispose: classifier.dispose,
    };
  },
});
