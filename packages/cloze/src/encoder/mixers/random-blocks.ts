// Which blocks BigBird's tokens look at by chance (arXiv 2007.14062), chosen as the paper's code and transformers do.
import { numpyRandom } from "../../data/numpy-random.js";

export interface RandomBlockOptions {
  /** Blocks of the sequence; more than 5 + 2 x `count`. */
  readonly blocks: number;
  readonly blockSize: number;
  /** How many a block looks at. */
  readonly count: number;
  readonly heads: number;
  readonly seed: number;
  /** The longest sequence of the model. */
  readonly maxPositions: number;
}

/** Lengths for which the paper's plan chooses among the blocks of the first 1024 tokens. */
const paperLengths = [1024, 3072, 4096];

/** As many of the candidates as wanted; where there are too few, again from the first. */
const fill = (candidates: readonly number[], count: number): number[] =>
  Array.from({ length: count }, (_, i) => candidates[i % candidates.length] ?? 0);

/** For each head the choices of blocks 1, 2, … (the first and the last block look at all). */
function paperPlan({ blocks, blockSize, count, heads, seed, maxPositions }: RandomBlockOptions): number[][][] {
  const random = numpyRandom(seed);
  const total = Math.floor(maxPositions / blockSize);
  const inner = Array.from({ length: total - 2 }, (_, i) => i + 1);
  const last = 1024 > 2 * blockSize ? Math.floor(1024 / blockSize) - 1 : total - 1;
  // The slices are those of the paper's code, which spares fewer blocks near the end than it means to.
  const candidates = (block: number): number[] => {
    if (block === 1) return inner.slice(2, last);
    if (block === 2) return inner.slice(3, last);
    if (block >= total - 3) return inner.slice(0, last);
    const start = block - 2;
    if (start > last) return inner.slice(0, last);
    return block + 1 === last ? inner.slice(0, start) : [...inner.slice(0, start), ...inner.slice(block + 1, last)];
  };
  return Array.from({ length: heads }, () =>
    inner.map((block) => fill(random.permutation(candidates(block)), count)).slice(0, blocks - 2),
  );
}

/** The same for all other lengths: among the first 5 + 2 x count blocks, block by block and head by head. */
function generalPlan({ blocks, count, heads, seed }: RandomBlockOptions): number[][][] {
  const random = numpyRandom(seed);
  const end = 5 + 2 * count;
  const choices = Array.from({ length: heads }, (): number[][] => []);
  if (count === 0) return choices.map(() => Array.from({ length: blocks - 2 }, () => []));
  for (let block = 1; block < blocks - 1; block++) {
    const illegal = new Set([block - 1, block, block + 1, 0, end - 1]);
    if (block === 1) illegal.add(end - 2);
    if (block === end - 2) illegal.add(1);
    for (const choice of choices) {
      const order = random.permutation(Array.from({ length: end }, (_, i) => i));
      choice.push(
        fill(
          order.filter((other) => !illegal.has(other)),
          count,
        ),
      );
    }
  }
  return choices;
}

/** Random blocks for blocks 1 to blocks - 2, by head: [heads][blocks - 2][count]. A function of its options. */
export const randomBlocks = (options: RandomBlockOptions): number[][][] =>
  paperLengths.includes(options.blocks * options.blockSize) ? paperPlan(options) : generalPlan(options);
