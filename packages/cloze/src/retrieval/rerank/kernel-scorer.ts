// The cheap scorer of IDCM (Hofstätter 2021, arXiv 2104.09393): a convolution over input embeddings, and kernels over cosines.
import {
  add,
  concat,
  div,
  linear,
  log,
  matmul,
  maximum,
  mul,
  noGrad,
  relu,
  reshape,
  scope,
  slice,
  sqrt,
  square,
  sum,
  type Tensor,
  take,
  tensor,
  transpose,
} from "@cloze/tensor";
import { packSequences } from "../../data/packed-batch.js";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import { kernelCentres, kernelSums } from "./kernel-pooling.js";
import type { BlockScorer } from "./key-blocks.js";

export interface KernelScorerOptions {
  /** Width of the convolution's vectors. Default 128. */
  size?: number;
  /** Tokens of a query and of a block at most. Default 30 and 64. */
  queryLength?: number;
  blockLength?: number;
}

export interface KernelScorer {
  /** Those of the scorer; the encoder's embeddings stay as they are. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly options: Required<KernelScorerOptions>;
  /** Scores with gradients where recorded: [blocks] */
  scores(query: string, blocks: readonly string[]): Tensor;
  readonly scorer: BlockScorer;
  dispose(): void;
}

/** Each row with the two behind it in its sequence, zeros where there are none: [tokens, width] -> [tokens, 3 width] */
function windows(x: Tensor, offsets: Int32Array): Tensor {
  const [tokens, width] = x.shape;
  const padded = concat([x, tensor(new Float32Array(width), [1, width])], 0);
  const behind = (step: number): Int32Array => {
    const rows = new Int32Array(tokens).fill(tokens);
    for (let s = 0; s + 1 < offsets.length; s++)
      for (let i = offsets[s]; i + step < offsets[s + 1]; i++) rows[i] = i + step;
    return rows;
  };
  return concat(
    [0, 1, 2].map((step) => take(padded, tensor(behind(step)))),
    1,
  );
}

/**
 * A scorer of blocks by how their words resemble those of a query: score = w · k + b, where k_m = sum over query words of
 * log max(1e-4, a_m · soft count of the kernel m). What is read of the encoder is its embeddings, without gradient.
 *
 * @param source where its parameters come from; new ones by seed 1 unless told
 * @example
 * const cheap = createKernelScorer(model, tokenizer);
 * await trainKernelScorer(cheap, rows, { steps: 1000 });
 * const score = selectAndScore(query, passages, cheap.scorer, crossEncoder(model).scorePairs);
 */
export function createKernelScorer(
  { encoder }: Pick<Model, "encoder">,
  tokenizer: Tokenizer,
  options: KernelScorerOptions = {},
  source: ParameterSource = { seed: 1 },
): KernelScorer {
  const settings = { size: 128, queryLength: 30, blockLength: 64, ...options };
  const { size, queryLength, blockLength } = settings;
  const { hiddenSize } = encoder.config;
  const kernels = kernelCentres.length;
  const parameters = createParameters(
    [
      { name: "convolution.weight", shape: [size, 3 * hiddenSize], initial: "normal" },
      { name: "convolution.bias", shape: [size], initial: "zeros" },
      { name: "kernels", shape: [kernels], initial: "ones" },
      { name: "score.weight", shape: [1, kernels], initial: "normal" },
      { name: "score.bias", shape: [1], initial: "zeros" },
    ],
    source,
    // Sums of three embeddings keep their size.
    1 / Math.sqrt(3 * hiddenSize),
  );
  const parameter = (name: string) => lookUp(parameters, name);
  /** Vectors of length 1 for the words of texts: [tokens, size] */
  function vectors(texts: readonly string[], maxLength: number) {
    const batch = packSequences(
      texts.map((text) => ({ ids: tokenizer.encodeIds(text, { addSpecialTokens: false, truncation: { maxLength } }) })),
    );
    const embedded = noGrad(() => encoder.forward(batch, { depth: 0 }).hidden);
    const found = relu(
      linear(windows(embedded, batch.offsets), parameter("convolution.weight"), parameter("convolution.bias")),
    );
    const length = sqrt(add(sum(square(found), [1], true), 1e-12));
    return { vectors: div(found, length), offsets: batch.offsets };
  }
  const scores: KernelScorer["scores"] = (query, blocks) =>
    scope(() => {
      const asked = vectors([query], queryLength).vectors;
      const { vectors: words, offsets } = vectors(blocks, blockLength);
      const likeness = matmul(words, transpose(asked)); // [words, query]
      const columns = kernelCentres.map((centre, m) => {
        const counts = mul(
          kernelSums(likeness, offsets, centre),
          slice(parameter("kernels"), [{ start: m, end: m + 1 }]),
        );
        return sum(log(maximum(counts, 1e-4)), [1], true); // [blocks, 1]
      });
      return reshape(linear(concat(columns, 1), parameter("score.weight"), parameter("score.bias")), [blocks.length]);
    });
  return {
    parameters,
    options: settings,
    scores,
    scorer: (query, blocks) => noGrad(() => scope(() => scores(query, blocks).toTypedArray() as Float32Array)),
    dispose() {
      for (const value of parameters.values()) value.dispose();
    },
  };
}
