// Two levels at once: masked words in sentence blocks, and masked blocks in documents (SMITH, arXiv 2004.12297).
import { add, crossEntropy, matmul, mul, scope, type Tensor, take, tensor, transpose } from "@cloze/tensor";
import { z } from "zod";
import type { DocumentSource, TokenDocument } from "../data/document-source.js";
import { type RandomSource, randomOrder } from "../data/random-source.js";
import { type BlockBatch, blockSequence, fillBlocks, packBlocks } from "../data/sentence-blocks.js";
import { createDocumentLevel, documentLevelSchema } from "../encoder/document-level.js";
import { saveDocumentLevel } from "../encoder/document-level-folder.js";
import { encoderFlops } from "../encoder/flops.js";
import { createParameters, lookUp, prefixed } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { applyTransform, transformSchema, transformSpecs } from "../heads/head-transform.js";
import { headFlops } from "./head-flops.js";
import { choiceFields } from "./masked-language.js";
import { type MaskedBatch, maskTokens } from "./masking.js";
import { cannotCombine, defineObjective, lossOf, type ObjectiveFrame } from "./objective.js";

const type = "masked-blocks";
const weight = z.number().min(0);

const schema = z.strictObject({
  type: z.literal(type),
  ...choiceFields,
  ...documentLevelSchema.shape,
  maskedBlocks: z.int().min(1).default(2).describe("blocks of a document that are hidden, where it has more (2)"),
  wordWeight: weight.default(1).describe("of the loss of masked words, a mean over all blocks (1)"),
  blockWeight: weight.default(1).describe("of the loss of masked blocks (1)"),
  blocksFrom: z.int().min(0).default(0).describe("steps of masked words alone, before blocks are hidden (0)"),
  detachTargets: z
    .boolean()
    .default(true)
    .describe("no gradient flows into the vectors that are to be found (true): otherwise all may become one"),
});
type Config = z.output<typeof schema>;

/** Documents in blocks with words hidden, and which blocks are. */
export interface MaskedBlockBatch extends MaskedBatch {
  readonly batch: BlockBatch;
  /** Numbers of blocks in the batch. [masked] */
  readonly masked: Int32Array;
}

const transform = transformSchema.parse({ activation: "gelu", norm: true });

/**
 * The blocks that are hidden in documents: so many of each without replacement, none of a document of one block.
 *
 * @param documents where the blocks of each document begin. [documents + 1]
 */
export function drawBlocks(documents: Int32Array, count: number, random: RandomSource): Int32Array {
  const drawn: number[] = [];
  for (let d = 0; d + 1 < documents.length; d++) {
    const blocks = documents[d + 1] - documents[d];
    const places = randomOrder(blocks, random).subarray(0, Math.min(count, blocks - 1));
    drawn.push(...Array.from(places.slice().sort(), (place) => documents[d] + place));
  }
  return Int32Array.from(drawn);
}

/**
 * What predicts blocks beside a model: the document level, which is kept with the model, and a transform, which is not.
 *
 * @param load gives parameters that another run made, by their names in `parameters`; it hands them over
 */
export function createBlockPrediction(
  config: Config,
  { model, seed }: Pick<ObjectiveFrame, "model" | "seed">,
  load: (name: string) => Tensor | undefined = () => undefined,
) {
  const sentence = model.encoder.config;
  const { hiddenSize, initializerRange } = sentence;
  const { block, maxBlocks, document, pool } = config;
  const level = createDocumentLevel({ block, maxBlocks, document, pool }, sentence, {
    seed: deriveSeed(seed, type),
    load: (name) => load(`${type}.level.${name}`),
  });
  const own = createParameters(
    prefixed(type, transformSpecs("transform", transform, sentence, hiddenSize)),
    { seed: deriveSeed(seed, type, "transform"), load },
    initializerRange,
  );
  const parameters = new Map([...level.parameters].map(([name, value]) => [`${type}.level.${name}`, value]));
  for (const [name, value] of own) parameters.set(name, value);
  return {
    level,
    parameters,
    /**
     * What is said of hidden blocks: t_a . s_b over all hidden blocks of the batch, whose diagonal is right.
     *
     * @param vectors of the batch's blocks. [blocks, hidden]
     * @returns [masked, masked]
     */
    logits(
      vectors: Tensor,
      { batch, masked }: Pick<MaskedBlockBatch, "batch" | "masked">,
      options: { training?: boolean; seed?: number } = {},
    ): Tensor {
      const { training = false, seed: at = 0 } = options;
      const rows = tensor(masked);
      const states = take(level.states(vectors, batch.documents, { training, seed: at, masked }), rows);
      const parameter = (name: string) => lookUp(own, `${type}.${name}`);
      const context = { parameter, training, seed: at, wordTable: () => vectors };
      const guesses = applyTransform("transform", states, transform, sentence, context);
      const targets = take(config.detachTargets ? vectors.detach() : vectors, rows);
      return matmul(guesses, transpose(targets));
    },
    dispose() {
      level.dispose();
      for (const value of own.values()) value.dispose();
    },
  };
}

/** Mean cross-entropy of hidden blocks: the diagonal is right. */
export const blockLoss = (logits: Tensor): Tensor =>
  crossEntropy(logits, tensor(Int32Array.from({ length: logits.shape[0] }, (_, i) => i)));

/** All sentences of a document; its title is the first. */
const sentencesOf = ({ title, sections }: TokenDocument): Int32Array[] => [
  title,
  ...sections.flat().flatMap(({ sentences }) => sentences),
];

export const maskedBlocks = defineObjective({
  schema,
  description: "masked words in blocks of sentences, and masked blocks of long documents (SMITH, arXiv 2004.12297)",
  aliases: { smith: {} },
  input: "documents",
  architecture: "ForMaskedLM",
  heads: ["masked-language", "pretraining"],
  check({ block }, { maxPositions }) {
    if (maxPositions === 0 || block <= maxPositions) return;
    throw cannotCombine("Blocks are longer than the model's positions", {
      expected: `at most ${maxPositions} tokens`,
      received: String(block),
      remedy: "Say --set block=… or give the model more positions.",
    });
  },
  create(config, frame) {
    const { model, vocabulary, batchTokens } = frame;
    const { block, maxBlocks } = config;
    const prediction = createBlockPrediction(config, frame);
    const { level } = prediction;
    /** A run of a document's blocks; of a longer one another each time. */
    function blocksOf(document: TokenDocument, random: RandomSource): Int32Array[] {
      const limits = { block, maxBlocks: Number.POSITIVE_INFINITY };
      const { blocks } = fillBlocks(sentencesOf(document), limits);
      const spare = blocks.length - maxBlocks;
      const start = spare > 0 ? Math.floor(random() * (spare + 1)) : 0;
      return blocks.slice(start, start + maxBlocks).map((words) => blockSequence(words, vocabulary));
    }
    return {
      parameters: prediction.parameters,
      state: new Map(),
      draw(documents: DocumentSource, positions, random): MaskedBlockBatch {
        const drawn: Int32Array[][] = [];
        let tokens = 0;
        // Documents that are longer than what is read of them leave room for others.
        for (let i = 0; tokens < batchTokens && i < 2 * positions.length + 64; i++) {
          const position = i < positions.length ? positions[i] : Math.floor(random() * documents.count);
          const blocks = blocksOf(documents.document(position), random);
          const size = blocks.reduce((sum, { length }) => sum + length, 0);
          if (drawn.length > 0 && tokens + size > batchTokens) break;
          drawn.push(blocks);
          tokens += size;
        }
        const whole = packBlocks(drawn);
        const masked = drawBlocks(whole.documents, config.maskedBlocks, random);
        const { batch, rows, targets } = maskTokens(whole, vocabulary, random, config);
        return { batch: { ...batch, documents: whole.documents }, rows, targets, masked };
      },
      loss(prepared, { seed, step, training = true, recompute }) {
        const { batch, rows, targets, masked } = prepared;
        const output = model.forward(batch, { rows, targets, lossOnly: true, training, seed, recompute });
        const words = mul(lossOf(output), config.wordWeight);
        if (step < config.blocksFrom || config.blockWeight === 0 || masked.length < 2) return words;
        const blocks = scope(() => {
          const vectors = level.blockVectors(output.hidden, batch.offsets);
          return blockLoss(prediction.logits(vectors, prepared, { training, seed: deriveSeed(seed, type) }));
        });
        return add(words, mul(blocks, config.blockWeight));
      },
      tokens: ({ batch }) => batch.ids.length,
      flops: ({ batch, rows }) =>
        3 *
        (encoderFlops(model.encoder.config, batch.offsets) +
          headFlops(model, rows.length) +
          encoderFlops(level.encoder.config, batch.documents)),
      save: (folder) => saveDocumentLevel(level, folder),
      dispose: prediction.dispose,
    };
  },
});
