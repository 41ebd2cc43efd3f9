// Sequences of a corpus in a random order, in bounded memory: blocks in a random order, some of them pooled, and the pool
// shuffled. What comes is a function of the seed alone, so a run goes on at the same token.
import { randomOrder, randomSource } from "../random-source.js";
import type { Corpus, CorpusBlock } from "./corpus.js";
import { documentStates } from "./corpus.js";

export interface SequenceOptions {
  /** Tokens of a sequence, special ones not counted. Longer documents are cut; where, differs from epoch to epoch. */
  readonly length: number;
  readonly seed: number;
  /**
   * Sequences run on from one document into the next, with this token between them. Default: a sequence is of one document,
   * and may be short.
   */
  readonly crossWith?: number;
  /** Blocks that are shuffled together, about 32 thousand tokens each. Default 64. */
  readonly poolBlocks?: number;
  /** Default "training". */
  readonly state?: "training" | "validation";
}

/** Where a stream is: plain JSON. */
export interface SequencePlace {
  readonly epoch: number;
  readonly pool: number;
  readonly place: number;
}

/** An endless stream; every token comes once an epoch. */
export interface SequenceStream {
  /** Length of the sequence that comes next. */
  peek(): number;
  next(): Int32Array;
  state(): SequencePlace;
  restore(place: SequencePlace): void;
}

/** Sequences laid end to end. */
interface Pool {
  readonly ids: Int32Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  readonly order: Int32Array;
}

class IdList {
  ids = new Int32Array(1 << 16);
  size = 0;

  append(more: ArrayLike<number>): void {
    if (this.size + more.length > this.ids.length) {
      const larger = new Int32Array(Math.max(2 * this.ids.length, this.size + more.length));
      larger.set(this.ids.subarray(0, this.size));
      this.ids = larger;
    }
    this.ids.set(more, this.size);
    this.size += more.length;
  }
}

function loadPool(
  corpus: Corpus,
  blocks: readonly CorpusBlock[],
  { length, seed, crossWith, state = "training" }: SequenceOptions,
  keys: readonly [epoch: number, pool: number],
): Pool {
  const list = new IdList();
  const documents: [start: number, end: number][] = [];
  for (const block of blocks) {
    const { ids, starts, states } = corpus.read(block);
    for (let d = 0; d < states.length; d++) {
      if (states[d] !== documentStates[state] || starts[d] === starts[d + 1]) continue;
      const from = list.size;
      list.append(ids.subarray(starts[d], starts[d + 1]));
      documents.push([from, list.size]);
    }
  }
  const random = randomSource(seed, 7, ...keys);
  const starts: number[] = [];
  const lengths: number[] = [];
  const cut = (from: number, end: number): void => {
    // Where a long document is cut differs from epoch to epoch.
    const first = end - from > length ? 1 + Math.floor(random() * length) : length;
    for (let at = from, to = Math.min(end, from + first); at < end; at = to, to = Math.min(end, at + length)) {
      starts.push(at);
      lengths.push(to - at);
    }
  };
  if (crossWith === undefined) {
    for (const [from, end] of documents) cut(from, end);
    return shuffled(list.ids.subarray(0, list.size), starts, lengths, random);
  }
  const joined = new IdList();
  for (const d of randomOrder(documents.length, random)) {
    if (joined.size > 0) joined.append([crossWith]);
    joined.append(list.ids.subarray(documents[d][0], documents[d][1]));
  }
  cut(0, joined.size);
  return shuffled(joined.ids.subarray(0, joined.size), starts, lengths, random);
}

const shuffled = (ids: Int32Array, starts: number[], lengths: number[], random: () => number): Pool => ({
  ids,
  starts: Int32Array.from(starts),
  lengths: Int32Array.from(lengths),
  order: randomOrder(starts.length, random),
});

/**
 * The sequences of one source, or of several as if they were one.
 *
 * @param sources positions in the manifest; all by default. They must have a document of the wanted state.
 */
export function sequenceStream(
  corpus: Corpus,
  options: SequenceOptions,
  sources: readonly number[] = corpus.manifest.sources.map((_, i) => i),
): SequenceStream {
  const { seed, poolBlocks = 64 } = options;
  const blocks = sources.flatMap((source) => corpus.blocks(source));
  const pools = Math.ceil(blocks.length / poolBlocks);
  let epoch = 0;
  let pool = 0;
  let place = 0;
  let orderOf = -1;
  let order: Int32Array = new Int32Array(0);
  let loaded: Pool | undefined;
  const current = (): Pool => {
    for (;;) {
      if (orderOf !== epoch) {
        order = randomOrder(blocks.length, randomSource(seed, 6, epoch));
        orderOf = epoch;
      }
      loaded ??= loadPool(
        corpus,
        Array.from(order.subarray(pool * poolBlocks, (pool + 1) * poolBlocks), (block) => blocks[block]),
        options,
        [epoch, pool],
      );
      if (place < loaded.order.length) return loaded;
      loaded = undefined;
      place = 0;
      pool++;
      if (pool >= pools) {
        pool = 0;
        epoch++;
      }
    }
  };
  return {
    peek() {
      const { lengths, order: sequences } = current();
      return lengths[sequences[place]];
    },
    next() {
      const { ids, starts, lengths, order: sequences } = current();
      const sequence = sequences[place++];
      return ids.slice(starts[sequence], starts[sequence] + lengths[sequence]);
    },
    state: () => ({ epoch, pool, place }),
    restore(to) {
      ({ epoch, pool, place } = to);
      loaded = undefined;
      orderOf = -1;
    },
  };
}

/**
 * Sequences of several sources, each with a share of the tokens: the next one comes from the source that is furthest behind its
 * share, so that the shares hold at any time, within one sequence.
 *
 * @param weights of the sources, in proportion; 0 leaves one out
 */
export function mixedStream(corpus: Corpus, options: SequenceOptions, weights: readonly number[]): MixedStream {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = weights.map((weight) => weight / total);
  const streams = shares.map((share, s) =>
    share > 0 ? sequenceStream(corpus, { ...options, seed: options.seed + 0x1000 * (s + 1) }, [s]) : undefined,
  );
  let given = shares.map(() => 0);
  const chosen = (): number => {
    const all = given.reduce((sum, count) => sum + count, 0) + options.length;
    let best = -1;
    let most = Number.NEGATIVE_INFINITY;
    shares.forEach((share, s) => {
      const behind = share * all - given[s];
      if (share > 0 && behind > most) [best, most] = [s, behind];
    });
    return best;
  };
  const streamOf = (source: number): SequenceStream => streams[source] as SequenceStream;
  return {
    peek: () => streamOf(chosen()).peek(),
    next() {
      const source = chosen();
      const sequence = streamOf(source).next();
      given[source] += sequence.length;
      return sequence;
    },
    given: () => [...given],
    state: () => ({ given: [...given], streams: streams.map((stream) => stream?.state() ?? null) }),
    restore(to) {
      given = [...to.given];
      to.streams.forEach((place, s) => {
        if (place !== null) streams[s]?.restore(place);
      });
    },
  };
}

/** Like a stream of one source; and how many tokens each source has given. */
export interface MixedStream {
  peek(): number;
  next(): Int32Array;
  given(): number[];
  state(): { readonly given: readonly number[]; readonly streams: readonly (SequencePlace | null)[] };
  restore(to: ReturnType<MixedStream["state"]>): void;
}

/** Every sequence of a state once, in order: for measuring. */
export function* allSequences(corpus: Corpus, options: SequenceOptions): Generator<Int32Array> {
  for (let source = 0; source < corpus.manifest.sources.length; source++) {
    for (const [b, block] of corpus.blocks(source).entries()) {
      const { ids, starts, lengths } = loadPool(corpus, [block], options, [source, b]);
      for (let i = 0; i < starts.length; i++) yield ids.slice(starts[i], starts[i] + lengths[i]);
    }
  }
}

/** Every document that is trained on, whole and in order. */
export function* trainingDocuments(corpus: Corpus): Generator<Int32Array> {
  for (let source = 0; source < corpus.manifest.sources.length; source++) {
    for (const block of corpus.blocks(source)) {
      const { ids, starts, states } = corpus.read(block);
      for (let d = 0; d < states.length; d++) {
        if (states[d] === documentStates.training) yield Int32Array.from(ids.subarray(starts[d], starts[d + 1]));
      }
    }
  }
}
