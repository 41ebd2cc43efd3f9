// Splits in which no test text is near to a training text.
import { randomOrder, randomSource } from "../../data/random-source.js";
import { ClozeError } from "../../errors.js";
import type { Embedder } from "../embedder.js";
import { unitRows, vectorsOfTexts } from "../evaluation/evaluator.js";
import { forEachNeighbours } from "./neighbours.js";

export interface SemanticSplitOptions {
  /** Shares of the texts. Default 0.1 each. */
  dev?: number;
  test?: number;
  /** Texts nearer than this (by cosine) stay together, and so do those between them. Default 0.8. */
  threshold?: number;
  /** Default 1. */
  seed?: number;
}

/** Positions of the texts of each part, in order. */
export interface SemanticSplit {
  readonly train: number[];
  readonly dev: number[];
  readonly test: number[];
  /** Groups of texts that stayed together, and the size of the largest. */
  readonly groups: number;
  readonly largestGroup: number;
}

/**
 * Splits texts so that near-paraphrases do not stand on both sides: texts are joined to groups by their cosines, and groups
 * are dealt out whole, the largest to the training texts. Parts may be smaller than asked where groups are large.
 *
 * @throws INVALID_OPTION
 */
export async function semanticSplit(
  embedder: Embedder,
  texts: readonly string[],
  { dev = 0.1, test = 0.1, threshold = 0.8, seed = 1 }: SemanticSplitOptions = {},
): Promise<SemanticSplit> {
  if (!(dev >= 0 && test >= 0 && dev + test < 1)) {
    throw new ClozeError("INVALID_OPTION", "The shares of a split are out of range", {
      expected: "dev and test of at least 0, together below 1",
      received: `${dev} and ${test}`,
    });
  }
  const vectors = unitRows(await vectorsOfTexts(embedder, texts), embedder.width);
  const parents = Int32Array.from(texts, (_, i) => i);
  const rootOf = (i: number): number => {
    let root = i;
    while (parents[root] !== root) root = parents[root];
    for (let at = i; at !== root; ) [parents[at], at] = [root, parents[at]];
    return root;
  };
  forEachNeighbours(vectors, embedder.width, threshold, (a, b) => {
    parents[rootOf(b)] = rootOf(a);
  });
  const members = new Map<number, number[]>();
  for (let i = 0; i < texts.length; i++) {
    const root = rootOf(i);
    const own = members.get(root);
    if (own === undefined) members.set(root, [i]);
    else own.push(i);
  }
  const groups = [...members.values()];
  const wanted = { dev: Math.round(dev * texts.length), test: Math.round(test * texts.length) };
  const parts = { train: [] as number[], dev: [] as number[], test: [] as number[] };
  for (const place of randomOrder(groups.length, randomSource(seed))) {
    const group = groups[place];
    const part = (["test", "dev"] as const).find((name) => parts[name].length + group.length <= wanted[name]);
    parts[part ?? "train"].push(...group);
  }
  for (const list of Object.values(parts)) list.sort((a, b) => a - b);
  return {
    ...parts,
    groups: groups.length,
    largestGroup: groups.reduce((most, { length }) => Math.max(most, length), 0),
  };
}
