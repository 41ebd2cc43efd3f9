// Pre-training of two towers for retrieval (arXiv 2002.03932): sentences ask for passages of articles (ICT, BFS, WLP); the
// other passages of a batch are the wrong answers.
import { linear, scope, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { DocumentSource } from "../data/document-source.js";
import { type PackedBatch, packSequences, type Sequence } from "../data/packed-batch.js";
import type { RandomSource } from "../data/random-source.js";
import { createEncoder, type Encoder } from "../encoder/encoder.js";
import { encoderFlops } from "../encoder/flops.js";
import { createParameters, lookUp } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import { poolTokens } from "../heads/head.js";
import { defineObjective, type ObjectiveFrame, type ObjectiveVocabulary } from "./objective.js";
import { pairSequence } from "./pairs/pair-batch.js";
import { type RetrievalPair, retrievalPairMakers } from "./pairs/retrieval-pairs.js";
import { sampledSoftmaxLoss } from "./sampled-softmax.js";

const type = "retrieval-pairs";
const share = z.number().min(0);

const schema = z.strictObject({
  type: z.literal(type),
  ict: share.default(1).describe("how often a sentence asks for the rest of its passage, beside the others (1)"),
  bfs: share.default(1).describe("how often one of the first section asks for another passage of the article (1)"),
  wlp: share.default(1).describe("how often it asks for a passage that links to the article (1)"),
  keepQuery: z.number().min(0).max(1).default(0.1).describe("chance of a sentence to stay in its passage (0.1)"),
  pooling: z.enum(["first", "mean"]).default("mean").describe("what stands for a text: its first token or the mean"),
  dimensions: z
    .int()
    .min(0)
    .default(0)
    .describe("a matrix takes vectors to so many numbers (512 in the paper); 0: none"),
  towers: z
    .enum(["shared", "separate"])
    .default("shared")
    .describe("one encoder for both sides, or one beside it for passages"),
  similarity: z.enum(["cosine", "dot"]).default("cosine").describe("of two vectors: cosine or dot"),
  scale: z.number().positive().optional().describe("what similarities are multiplied by (20 for cosines)"),
  correction: z.boolean().default(true).describe("passages count by their chance to be drawn (log Q)"),
  queryLength: z.int().min(4).default(64).describe("longest query, in tokens (64)"),
  passageLength: z.int().min(6).default(288).describe("longest passage with its title, in tokens (288)"),
});
type Config = z.output<typeof schema>;

/** A batch of queries and passages. */
export interface RetrievalBatch {
  readonly queries: PackedBatch;
  readonly passages: PackedBatch;
  readonly pairs: readonly Omit<RetrievalPair, "query" | "title" | "passage">[];
}

/** [CLS] query [SEP] */
export const querySequence = (ids: Int32Array, { clsId, sepId }: ObjectiveVocabulary, longest: number): Sequence => ({
  ids: [clsId, ...ids.subarray(0, longest - 2), sepId],
});

/** [CLS] title [SEP] passage [SEP], or without a title [CLS] passage [SEP]. */
export function passageSequence(
  title: Int32Array,
  passage: Int32Array,
  vocabulary: ObjectiveVocabulary,
  longest: number,
  segments: number,
): Sequence {
  if (title.length === 0) return querySequence(passage, vocabulary, longest);
  return pairSequence(title, passage, vocabulary, { maxLength: longest, segments });
}

/**
 * What makes vectors of both sides: encoders, and a projection where there is one.
 *
 * @param load gives parameters that another run made, by their names in `parameters`; it hands them over
 */
export function createTowers(
  config: Pick<Config, "pooling" | "dimensions" | "towers">,
  { model, seed }: Pick<ObjectiveFrame, "model" | "seed">,
  load: (name: string) => Tensor | undefined = () => undefined,
) {
  const { encoder: query } = model;
  const { hiddenSize, initializerRange } = query.config;
  const beside = new Map<string, Tensor>();
  let passage: Encoder = query;
  if (config.towers === "separate") {
    passage = createEncoder(query.config, {
      seed: deriveSeed(seed, type, "passages"),
      load: (name) => load(`${type}.passages.${name}`),
    });
    for (const [name, value] of passage.parameters) beside.set(`${type}.passages.${name}`, value);
  }
  const matrices = config.dimensions === 0 ? [] : config.towers === "separate" ? ["query", "passage"] : ["both"];
  const specs = matrices.map((name) => ({
    name: `${type}.projection.${name}.weight`,
    shape: [config.dimensions, hiddenSize],
    initial: "normal" as const,
  }));
  const projections = createParameters(specs, { seed: deriveSeed(seed, type), load }, initializerRange);
  for (const [name, value] of projections) beside.set(name, value);
  const side = (encoder: Encoder, name: string) => {
    const matrix = matrices.includes(name) ? name : matrices.includes("both") ? "both" : undefined;
    return (batch: PackedBatch, options: { training?: boolean; seed?: number; recompute?: boolean } = {}): Tensor =>
      scope(() => {
        const pooled = poolTokens(encoder.forward(batch, options).hidden, batch, config.pooling);
        return matrix === undefined
          ? pooled
          : linear(pooled, lookUp(projections, `${type}.projection.${matrix}.weight`));
      });
  };
  return {
    parameters: beside,
    queryEncoder: query,
    passageEncoder: passage,
    /** -> [sequences, width] */
    queries: side(query, "query"),
    passages: side(passage, "passage"),
    dispose() {
      for (const parameter of beside.values()) parameter.dispose();
    },
  };
}
export type Towers = ReturnType<typeof createTowers>;

/** Loss of a batch, and what a row may not take for wrong: passages of its own paragraph, for BFS of its article. */
export function retrievalLoss(
  queries: Tensor,
  passages: Tensor,
  { pairs }: Pick<RetrievalBatch, "pairs">,
  config: Config,
): Tensor {
  return sampledSoftmaxLoss(queries, passages, {
    similarity: config.similarity,
    scale: config.scale,
    logChances: config.correction ? pairs.map(({ logChance }) => logChance) : undefined,
    mask: (i, j) =>
      pairs[i].to === pairs[j].to &&
      (pairs[i].task === "bfs" || pairs[j].task === "bfs" || pairs[i].paragraph === pairs[j].paragraph),
  });
}

export const retrievalPairs = defineObjective({
  schema,
  description: "find the passage that a sentence was taken from, or is linked to (ICT, BFS, WLP; arXiv 2002.03932)",
  aliases: { ict: { bfs: 0, wlp: 0 }, bfs: { ict: 0, wlp: 0 }, wlp: { ict: 0, bfs: 0 }, "ict-bfs-wlp": {} },
  input: "documents",
  architecture: "Model",
  heads: ["none", "pooler"],
  create(config, frame) {
    const { model, vocabulary, maxLength, batchTokens } = frame;
    const towers = createTowers(config, frame);
    const { segmentVocabularySize: segments } = model.encoder.config;
    const [queryLength, passageLength] = [config.queryLength, config.passageLength].map((length) =>
      Math.min(length, maxLength),
    );
    const tasks = (["ict", "bfs", "wlp"] as const).filter((task) => config[task] > 0);
    const total = tasks.reduce((sum, task) => sum + config[task], 0);
    function taskBy(random: RandomSource) {
      let left = random() * total;
      for (const task of tasks) {
        left -= config[task];
        if (left < 0) return task;
      }
      return tasks[tasks.length - 1];
    }
    return {
      parameters: towers.parameters,
      state: new Map(),
      draw(articles: DocumentSource, positions, random): RetrievalBatch {
        const queries: Sequence[] = [];
        const passages: Sequence[] = [];
        const pairs: RetrievalBatch["pairs"][number][] = [];
        let tokens = 0;
        for (let visit = 0, idle = 0; tokens < batchTokens && idle < 2 * positions.length + 64; visit++) {
          const position = visit < positions.length ? positions[visit] : Math.floor(random() * articles.count);
          const found = retrievalPairMakers[taskBy(random)](articles, position, random, config);
          idle = found === undefined ? idle + 1 : 0;
          if (found === undefined) continue;
          const { query, title, passage, ...about } = found;
          queries.push(querySequence(query, vocabulary, queryLength));
          passages.push(passageSequence(title, passage, vocabulary, passageLength, segments));
          pairs.push(about);
          tokens += queries[queries.length - 1].ids.length + passages[passages.length - 1].ids.length;
        }
        if (pairs.length < 2) {
          throw new ClozeError("OBJECTIVE_CORPUS", "The articles have no pairs of a query and a passage", {
            expected: "paragraphs of several sentences (ICT), several paragraphs (BFS), links between articles (WLP)",
            remedy: "Turn tasks off that the corpus cannot have: --set wlp=0.",
          });
        }
        return { queries: packSequences(queries), passages: packSequences(passages), pairs };
      },
      loss(batch, { seed, recompute, training = true }) {
        const options = (side: string) => ({ training, seed: deriveSeed(seed, side), recompute });
        return retrievalLoss(
          towers.queries(batch.queries, options("queries")),
          towers.passages(batch.passages, options("passages")),
          batch,
          config,
        );
      },
      tokens: ({ queries, passages }) => queries.ids.length + passages.ids.length,
      flops: ({ queries, passages }) =>
        3 *
        (encoderFlops(model.encoder.config, queries.offsets) + encoderFlops(model.encoder.config, passages.offsets)),
      dispose: towers.dispose,
    };
  },
});
