// What joint models say of a query and its candidates, from the vectors of their blocks (arXiv 2205.01228).
import { concat, dropout, linear, reshape, segmentSum, type Tensor, take, tensor } from "@cloze/tensor";
import { matrixSize } from "../../encoder/flops.js";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import { deriveSeed } from "../../encoder/seeds.js";
import { denseSpecs } from "../../heads/head.js";
import type { JointBatch } from "./joint-blocks.js";

/**
 * What a joint classifier reads, by the paper's names. Of each candidate: its own vector (ie-k), the query's and its own
 * (ae-k), or the query's alone, which tells of all at once (re-k). Of the whole: the query's vector (ie-1), or the sum of all
 * (ae-1).
 */
export const jointKinds = ["ie-k", "ae-k", "re-k", "ie-1", "ae-1"] as const;
export type JointKind = (typeof jointKinds)[number];

/** Kinds that say something of each candidate. */
export const ofEachCandidate = (kind: JointKind): boolean => kind.endsWith("-k");

export interface JointClassifierShape {
  readonly kind: JointKind;
  readonly hiddenSize: number;
  /** Candidates at most. */
  readonly candidates: number;
  readonly labels: number;
}

/** Dropout, dense, tanh, dropout, dense, as the paper has it. */
export function createJointClassifier(
  { kind, hiddenSize, candidates, labels }: JointClassifierShape,
  source: ParameterSource,
  initializerRange: number,
  chance = 0.1,
) {
  const outputs = kind === "re-k" ? candidates * labels : labels;
  const specs = [
    ...denseSpecs("transform", hiddenSize, kind === "ae-k" ? 2 * hiddenSize : hiddenSize),
    ...denseSpecs("output", outputs, hiddenSize),
  ];
  const parameters = createParameters(specs, source, initializerRange);
  const dense = (name: string, x: Tensor, activation: "tanh" | "none"): Tensor =>
    linear(x, lookUp(parameters, `${name}.weight`), lookUp(parameters, `${name}.bias`), { activation });
  /** What the classifier reads: a row for each candidate, or for each sequence. */
  function read(hidden: Tensor, { starts, blocks }: JointBatch): Tensor {
    const vectors = take(hidden, tensor(starts)); // [blocks, hidden]
    if (kind === "ae-1") return segmentSum(vectors, tensor(blocks));
    const queries: number[] = [];
    const own: number[] = [];
    for (let s = 0; s + 1 < blocks.length; s++) {
      if (!ofEachCandidate(kind) || kind === "re-k") queries.push(blocks[s]);
      else {
        for (let block = blocks[s] + 1; block < blocks[s + 1]; block++) {
          queries.push(blocks[s]);
          own.push(block);
        }
      }
    }
    const rows = (list: number[]): Tensor => take(vectors, tensor(Int32Array.from(list)));
    if (kind === "ie-k") return rows(own);
    return kind === "ae-k" ? concat([rows(queries), rows(own)], 1) : rows(queries);
  }
  function classify(x: Tensor, { training = false, seed = 0 }: { training?: boolean; seed?: number } = {}): Tensor {
    const drop = (value: Tensor, place: string): Tensor =>
      training ? dropout(value, chance, deriveSeed(seed, "joint", place)) : value;
    return dense("output", drop(dense("transform", drop(x, "input"), "tanh"), "output"), "none");
  }
  return {
    parameters,
    read,
    /** The layers alone. x: what `read` gives */
    classify,
    /**
     * @param hidden states of the batch. [tokens, hidden]
     * @returns a row for each candidate of each sequence, or (ie-1, ae-1) for each sequence. [rows, labels]
     */
    logits(hidden: Tensor, joint: JointBatch, options: { training?: boolean; seed?: number } = {}): Tensor {
      const made = classify(read(hidden, joint), options);
      if (kind !== "re-k") return made;
      // Of all candidates that there may be, those that there are.
      const all = reshape(made, [made.shape[0] * candidates, labels]);
      const { blocks } = joint;
      const present: number[] = [];
      for (let s = 0; s + 1 < blocks.length; s++) {
        for (let i = 0; i < blocks[s + 1] - blocks[s] - 1; i++) present.push(s * candidates + i);
      }
      return take(all, tensor(Int32Array.from(present)));
    },
    /** Of a forward pass. */
    flops: ({ blocks, starts }: JointBatch): number =>
      2 *
      (kind === "ie-k" || kind === "ae-k" ? starts.length - (blocks.length - 1) : blocks.length - 1) *
      matrixSize(specs),
    dispose() {
      for (const parameter of parameters.values()) parameter.dispose();
    },
  };
}

export type JointClassifier = ReturnType<typeof createJointClassifier>;
