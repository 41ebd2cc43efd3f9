// Two towers and a small head that score pairs of texts: each text is encoded once, alone (DSE, arXiv 1908.05161).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  broadcastTo,
  dropout,
  noGrad,
  ones,
  parameter,
  randomUniform,
  readSafetensors,
  scope,
  slice,
  type Tensor,
  tensor,
  writeFileAtomic,
  writeSafetensors,
  zeros,
} from "@cloze/tensor";
import { z } from "zod";
import { groupByTokenBudget, type PackedBatch, packSequences } from "../../data/packed-batch.js";
import type { EncoderOptions } from "../../encoder/encoder.js";
import { deriveSeed } from "../../encoder/seeds.js";
import { ClozeError } from "../../errors.js";
import { loadModel, type Model, saveModel } from "../../families/index.js";
import type { SearchHit } from "../../retrieval/search-hit.js";
import { topScores } from "../../retrieval/top-scores.js";
import { loadTokenizer, type Tokenizer } from "../../text/index.js";
import {
  type PairHead,
  pairHeadSchema,
  pairLogits,
  pairPoolingSchema,
  poolPairStates,
  sideShare,
  splitLogits,
} from "./pair-features.js";

export const pairScorerSchema = z.strictObject({
  pool: pairPoolingSchema.prefault({}),
  head: pairHeadSchema.prefault({ type: "mlp" }),
  /** Logits of a pair: 1 for two classes and for numbers, else one for each class. */
  outputs: z.int().min(1).default(1),
  /** Tokens of a text at most. */
  maxLength: z.int().min(4).default(128),
});
export type PairScorerOptions = z.input<typeof pairScorerSchema>;

export interface PairScorer {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly options: z.output<typeof pairScorerSchema>;
  /** Length of a text's vector. */
  readonly width: number;
  /** What is trained: the encoder's as `encoder.…`, the head's as `head.…`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly head: PairHead;
  /** The ids of texts, cut to the limit. */
  tokenize(texts: readonly string[]): Int32Array[];
  /** Vectors of packed texts, with gradients where recorded and the last layer's dropout in training: [texts, width] */
  embedBatch(batch: PackedBatch, options?: EncoderOptions): Tensor;
  /** Logits of pairs of vectors, with gradients where recorded. [pairs, width] -> [pairs, outputs] */
  pairLogits(u: Tensor, v: Tensor): Tensor;
  /** Vectors of texts: [texts, width] */
  embed(texts: readonly string[]): Float32Array;
  /** Logits of pairs of vectors, the first of each with the first of the other. [pairs, width] -> [pairs x outputs] */
  score(u: Float32Array, v: Float32Array): Float32Array;
  /**
   * Logits of every query with every candidate; what the first layer makes of a side is computed once for each of its vectors.
   * -> [queries x candidates x outputs]
   */
  scoreAll(queries: Float32Array, candidates: Float32Array): Float32Array;
  /** Candidates by their score with a query, best first; of several outputs the given one decides (default: the last). */
  rank(query: Float32Array, candidates: Float32Array, options?: { k?: number; output?: number }): SearchHit[];
  save(folder: string): void;
  dispose(): void;
}

/** New parameters of a head. */
function createHead(width: number, options: z.output<typeof pairScorerSchema>, seed: number): Map<string, Tensor> {
  const { head, outputs } = options;
  if (head.type === "dot") {
    if (outputs !== 1) {
      throw new ClozeError("INVALID_OPTION", "An inner product is one number", {
        expected: "outputs 1",
        received: String(outputs),
      });
    }
    return new Map([
      ["scale", parameter(ones([1]))],
      ["bias", parameter(zeros([1]))],
    ]);
  }
  const make = (name: string, shape: readonly number[], inputs: number) => {
    const bound = 1 / Math.sqrt(inputs);
    return [
      name,
      parameter(randomUniform(shape, { low: -bound, high: bound, seed: deriveSeed(seed, "pair-head", name) })),
    ] as const;
  };
  return new Map([
    make("hidden.weight", [head.hidden, 4 * width], 4 * width),
    make("hidden.bias", [head.hidden], 4 * width),
    make("output.weight", [outputs, head.hidden], head.hidden),
    make("output.bias", [outputs], head.hidden),
  ]);
}

/** Pairs whose logits are computed at once. */
const block = 4096;

/**
 * Makes a pair scorer of an encoder; it owns the model. The head is new unless given.
 *
 * @throws INVALID_OPTION
 * @example
 * const scorer = createPairScorer(model, tokenizer, { pool: { layers: 4 }, head: { type: "mlp", hidden: 512 } });
 * const vectors = scorer.embed(candidates); // once
 * scorer.rank(scorer.embed(["a question"]), vectors, { k: 10 });
 */
export function createPairScorer(
  model: Model,
  tokenizer: Tokenizer,
  given: PairScorerOptions = {},
  { head: givenHead, seed = 1 }: { head?: Map<string, Tensor>; seed?: number } = {},
): PairScorer {
  const parsed = pairScorerSchema.parse(given);
  const { hiddenSize, layers, maxPositions } = model.encoder.config;
  // An encoder with fewer layers gives all it has.
  const options = {
    ...parsed,
    pool: { ...parsed.pool, layers: Math.min(parsed.pool.layers, layers.length) },
    maxLength: Math.min(parsed.maxLength, maxPositions > 0 ? maxPositions : parsed.maxLength),
  };
  const { pool, head: headConfig, outputs, maxLength } = options;
  const width = hiddenSize * (pool.how === "concat" ? pool.layers : 1);
  const head = givenHead ?? createHead(width, options, seed);
  const parameters = new Map<string, Tensor>();
  for (const [name, value] of model.encoder.parameters) parameters.set(`encoder.${name}`, value);
  for (const [name, value] of head) parameters.set(`head.${name}`, value);
  const tokenize: PairScorer["tokenize"] = (texts) =>
    texts.map((text) => tokenizer.encodeIds(text, { truncation: { maxLength } }));
  const embedBatch: PairScorer["embedBatch"] = (batch, forwardOptions) =>
    scope(() => {
      const { hiddenStates = [] } = model.encoder.forward(batch, { ...forwardOptions, hiddenStates: true });
      const vectors = poolPairStates(hiddenStates.slice(hiddenStates.length - pool.layers), batch.offsets, pool);
      const { training = false, seed: at = 0 } = forwardOptions ?? {};
      return training ? dropout(vectors, layers.at(-1)?.dropout ?? 0, deriveSeed(at, "pair-pooling")) : vectors;
    });
  const rowsOf = (vectors: Float32Array): number => {
    const rows = vectors.length / width;
    if (Number.isInteger(rows)) return rows;
    throw new ClozeError("DIMENSION_MISMATCH", "These vectors are of another scorer", {
      expected: `rows of ${width} numbers`,
      received: `${vectors.length} numbers`,
    });
  };
  const scoreAll: PairScorer["scoreAll"] = (queries, candidates) => {
    const [many, rows] = [rowsOf(queries), rowsOf(candidates)];
    const result = new Float32Array(many * rows * outputs);
    const split = headConfig.type === "mlp";
    scope(() =>
      noGrad(() => {
        const u = tensor(queries, [many, width]);
        const ownShares = split ? sideShare(u, head, "first") : undefined; // [queries, hidden]
        for (let start = 0; start < rows; start += block) {
          const end = Math.min(rows, start + block);
          const v = tensor(candidates.subarray(start * width, end * width), [end - start, width]);
          const share = split ? sideShare(v, head, "second") : undefined; // [candidates, hidden]
          for (let i = 0; i < many; i++) {
            scope(() => {
              const at = [{ start: i, end: i + 1 }];
              const one = broadcastTo(slice(u, at), v.shape);
              const logits =
                ownShares === undefined || share === undefined
                  ? pairLogits(one, v, head, headConfig)
                  : splitLogits(one, v, [slice(ownShares, at), share], head);
              result.set(logits.toTypedArray() as Float32Array, (i * rows + start) * outputs);
            });
          }
        }
      }),
    );
    return result;
  };
  return {
    model,
    tokenizer,
    options,
    width,
    parameters,
    head,
    tokenize,
    embedBatch,
    pairLogits: (u, v) => pairLogits(u, v, head, headConfig),
    embed(texts) {
      const ids = tokenize(texts);
      const result = new Float32Array(texts.length * width);
      const groups = groupByTokenBudget(
        ids.map(({ length }) => length),
        4096,
      );
      for (const group of groups) {
        scope(() =>
          noGrad(() => {
            const vectors = embedBatch(packSequences(group.map((i) => ({ ids: ids[i] })))).toTypedArray();
            group.forEach((i, row) => {
              result.set(vectors.subarray(row * width, (row + 1) * width) as Float32Array, i * width);
            });
          }),
        );
      }
      return result;
    },
    score(u, v) {
      const rows = rowsOf(u);
      const result = new Float32Array(rows * outputs);
      for (let start = 0; start < rows; start += block) {
        const end = Math.min(rows, start + block);
        const part = (x: Float32Array) => tensor(x.subarray(start * width, end * width), [end - start, width]);
        const logits = scope(() => noGrad(() => pairLogits(part(u), part(v), head, headConfig).toTypedArray()));
        result.set(logits as Float32Array, start * outputs);
      }
      return result;
    },
    scoreAll,
    rank(query, candidates, { k = 10, output = outputs - 1 } = {}) {
      const logits = scoreAll(query.subarray(0, width), candidates);
      return topScores(outputs === 1 ? logits : logits.filter((_, i) => i % outputs === output), k);
    },
    save(folder) {
      saveModel(model, folder);
      tokenizer.save(folder);
      writeSafetensors(join(folder, "pair_head.safetensors"), head);
      writeFileAtomic(join(folder, "pair_scorer.json"), `${JSON.stringify(options, null, 2)}\n`);
    },
    dispose() {
      model.dispose();
      for (const value of head.values()) value.dispose();
    },
  };
}

/**
 * Opens what `save` wrote.
 *
 * @throws PAIR_SCORER_FILE, and what `loadModel` and `loadTokenizer` throw
 */
export function loadPairScorer(folder: string): PairScorer {
  const path = join(folder, "pair_scorer.json");
  const invalid = (received: string, cause?: unknown) =>
    new ClozeError("PAIR_SCORER_FILE", `${folder} holds no pair scorer`, {
      expected: "pair_scorer.json and pair_head.safetensors, as a pair scorer saves them",
      received,
      cause,
    });
  let parsed: ReturnType<typeof pairScorerSchema.safeParse>;
  try {
    parsed = pairScorerSchema.safeParse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const file = readSafetensors(join(folder, "pair_head.safetensors"));
  const head = new Map(file.names.map((name) => [name, parameter(file.load(name))]));
  file.close();
  return createPairScorer(loadModel(folder), loadTokenizer(folder), parsed.data, { head });
}
