// Clusters of tokens, and how often a detector was wrong between two of them (C-RTS, arXiv 2309.08272).
import { copyInto, ones, scope, type Tensor, tensor } from "@cloze/tensor";
import { type RandomSource, randomOrder, randomSource } from "../data/random-source.js";
import { lookUp } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import type { ObjectiveFrame } from "./objective.js";

/**
 * The cluster of each row by k-means (Lloyd's steps from random rows): the cluster of the nearest centre.
 *
 * @param rows [count x width]
 * @returns [count]
 */
export function clusterRows(
  rows: Float32Array,
  width: number,
  clusters: number,
  random: RandomSource,
  steps = 8,
): Int32Array {
  const count = rows.length / width;
  const first = randomOrder(count, random);
  const centres = Float64Array.from({ length: clusters * width }, (_, at) => {
    const row = first[Math.floor(at / width) % count];
    return rows[row * width + (at % width)];
  });
  const found = new Int32Array(count);
  for (let step = 0; step < steps; step++) {
    for (let row = 0; row < count; row++) {
      let best = Number.POSITIVE_INFINITY;
      for (let c = 0; c < clusters; c++) {
        let distance = 0;
        for (let i = 0; i < width && distance < best; i++) {
          const difference = rows[row * width + i] - centres[c * width + i];
          distance += difference * difference;
        }
        if (distance >= best) continue;
        best = distance;
        found[row] = c;
      }
    }
    const sums = new Float64Array(clusters * width);
    const sizes = new Float64Array(clusters);
    for (let row = 0; row < count; row++) {
      sizes[found[row]]++;
      for (let i = 0; i < width; i++) sums[found[row] * width + i] += rows[row * width + i];
    }
    for (let c = 0; c < clusters; c++) {
      // A cluster that lost all rows stays where it is.
      if (sizes[c] > 0) for (let i = 0; i < width; i++) centres[c * width + i] = sums[c * width + i] / sizes[c];
    }
  }
  return found;
}

/**
 * Chances of the clusters of a row of counts: softmax(beta · n), where n is the row from 0 (its least count) to 1 (its
 * greatest). Counts may be negative and grow without end; what is not allowed has no chance.
 */
export function clusterChances(
  counts: ArrayLike<number>,
  beta: number,
  allowed: ArrayLike<number | boolean>,
): Float64Array {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let c = 0; c < counts.length; c++) {
    low = Math.min(low, counts[c]);
    high = Math.max(high, counts[c]);
  }
  const range = high - low || 1;
  const weights = Float64Array.from({ length: counts.length }, (_, c) =>
    allowed[c] ? Math.exp((beta * (counts[c] - low)) / range) : 0,
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** A substitute for a token. */
export type SubstituteSampler = (id: number, random: RandomSource) => number;

/**
 * Draws a cluster by the counts of errors of the token's own, then a token of it; never a special one.
 *
 * @param of the cluster of each token. [vocabulary]
 * @param counts [clusters x clusters], a row for the cluster of the original
 */
export function substituteSampler(
  of: ArrayLike<number>,
  counts: ArrayLike<number>,
  beta: number,
  { vocabularySize, specialIds }: Pick<ObjectiveFrame["vocabulary"], "vocabularySize" | "specialIds">,
): SubstituteSampler {
  const clusters = Math.round(Math.sqrt(counts.length));
  const members: number[][] = Array.from({ length: clusters }, () => []);
  for (let id = 0; id < vocabularySize; id++) if (!specialIds.has(id)) members[of[id]].push(id);
  const allowed = members.map(({ length }) => length > 0);
  const known = new Map<number, Float64Array>();
  return (id, random) => {
    const from = of[id];
    let chances = known.get(from);
    if (chances === undefined) {
      const row = Array.from({ length: clusters }, (_, to) => counts[from * clusters + to]);
      chances = clusterChances(row, beta, allowed);
      known.set(from, chances);
    }
    let left = random();
    let to = allowed.lastIndexOf(true);
    for (let c = 0; c < clusters; c++) {
      left -= chances[c];
      if (chances[c] === 0 || left >= 0) continue;
      to = c;
      break;
    }
    return members[to][Math.floor(random() * members[to].length)];
  };
}

/** Clusters of a vocabulary with their counts of errors, as state of an objective. */
export function createClusters(
  prefix: string,
  clusters: number,
  { model, vocabulary, seed }: Pick<ObjectiveFrame, "model" | "vocabulary" | "seed">,
) {
  const { vocabularySize } = vocabulary;
  if (clusters > vocabularySize) {
    throw new ClozeError("OBJECTIVE_COMBINATION", "There are more clusters than tokens", {
      expected: `at most ${vocabularySize}`,
      received: String(clusters),
      remedy: `--set clusters=${Math.max(2, Math.floor(vocabularySize / 50))}`,
    });
  }
  const table = lookUp(model.encoder.parameters, "embeddings.word.weight");
  const width = table.shape[1];
  const rows = (table.toTypedArray() as Float32Array).subarray(0, vocabularySize * width);
  const start = clusterRows(rows, width, clusters, randomSource(deriveSeed(seed, prefix)));
  // Both stand in checkpoints: a resumed run has the clusters of the embeddings at the start, not of those that it loads.
  const map = tensor(Float32Array.from(start)).keep("weights");
  const counts = ones([clusters, clusters]).keep("weights");
  const pending = new Map<number, number>();
  let of: ArrayLike<number> = start;
  return {
    state: new Map<string, Tensor>([
      [`${prefix}.clusterOf`, map],
      [`${prefix}.counts`, counts],
    ]),
    /** Draws substitutes with the counts as they are now. */
    sampler(beta: number): SubstituteSampler {
      of = map.toTypedArray();
      return substituteSampler(of, counts.toTypedArray(), beta, vocabulary);
    },
    /** Counts one prediction: + 1 where it was wrong, - 1 where it was right; counted when the step is over. */
    note(original: number, substitute: number, wrong: boolean): void {
      const at = of[original] * clusters + of[substitute];
      pending.set(at, (pending.get(at) ?? 0) + (wrong ? 1 : -1));
    },
    update(): void {
      const next = Float32Array.from(counts.toTypedArray() as Float32Array);
      for (const [at, change] of pending) next[at] += change;
      pending.clear();
      scope(() => copyInto(counts, tensor(next, [clusters, clusters])));
    },
    dispose(): void {
      map.dispose();
      counts.dispose();
    },
  };
}
