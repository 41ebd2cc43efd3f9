// Corpora of any sizes as one, each with its share of what is read (arXiv 2005.07202): for any objective.
import { ClozeError } from "../../errors.js";
import type { TokenStore } from "../token-store.js";
import { mixFiles, shardDocuments } from "./simultaneous.js";

export interface MixCorporaOptions {
  /** Tokens of a shard, about; the same for all corpora, so that shards are shares. Default 10,000. */
  readonly shardTokens?: number;
  /** Shards of each corpus in a file: [5, 5] gives both half of what is read. */
  readonly shardsPerFile: readonly number[];
  readonly files: number;
  /** Longer documents are cut into pieces of so many tokens, so that a share of the text is a share of what is read. */
  readonly length: number;
  /** Default 1. */
  readonly seed?: number;
}

/** A mixture in the order of its files, as a corpus to pre-train on. */
export interface MixedCorpora extends TokenStore {
  /** The corpus that a sequence comes from. */
  sourceOf(index: number): number;
  /** The file that a sequence stands in. */
  fileOf(index: number): number;
  /** Shards of each file, by corpus. [files][corpora][shards] */
  readonly composition: readonly (readonly (readonly number[])[])[];
}

/** Pieces of a document of at most `length` tokens. */
function piecesOf(store: TokenStore, document: number, length: number): Int32Array[] {
  const ids = store.sequence(document);
  return Array.from({ length: Math.ceil(ids.length / length) }, (_, i) => ids.subarray(i * length, (i + 1) * length));
}

/**
 * Mixes corpora that fit in memory: documents become shards, shards files with the shares that are asked for, and small
 * corpora come again, evenly. What is read again is masked anew: the store holds places, not copies.
 *
 * @throws CORPUS_WEIGHTS
 * @example
 * const mixed = mixCorpora([small, large], { shardsPerFile: [5, 5], files: 50, length: 126 });
 * await pretrain(model, tokenizer, mixed, { steps: 1000 });
 */
export function mixCorpora(
  corpora: readonly TokenStore[],
  { shardTokens = 10_000, shardsPerFile, files, length, seed = 1 }: MixCorporaOptions,
): MixedCorpora {
  if (corpora.some(({ count }) => count === 0)) {
    throw new ClozeError("CORPUS_WEIGHTS", "A corpus to mix has no documents", {
      expected: "at least one document in each",
      received: corpora.map(({ count }) => count).join(", "),
    });
  }
  const sharded = corpora.map(
    (store) =>
      shardDocuments(
        Array.from({ length: store.count }, (_, i) => i),
        (document) => store.length(document),
        shardTokens,
      ).shards,
  );
  const composition = mixFiles(
    sharded.map((shards) => shards.length),
    shardsPerFile,
    files,
    seed,
  );
  // A shard is cut once, however often it comes.
  const cut = new Map<string, Int32Array[]>();
  const shardOf = (corpus: number, shard: number): Int32Array[] => {
    const key = `${corpus} ${shard}`;
    const known = cut.get(key);
    if (known !== undefined) return known;
    const made = sharded[corpus][shard].flatMap((document) => piecesOf(corpora[corpus], document, length));
    cut.set(key, made);
    return made;
  };
  const entries = composition.flatMap((file, number) =>
    file.flatMap((shards, corpus) =>
      shards.flatMap((shard) => shardOf(corpus, shard).map((ids) => ({ ids, corpus, file: number }))),
    ),
  );
  return {
    count: entries.length,
    tokens: entries.reduce((sum, { ids }) => sum + ids.length, 0),
    length: (index) => entries[index].ids.length,
    sequence: (index) => entries[index].ids,
    sourceOf: (index) => entries[index].corpus,
    fileOf: (index) => entries[index].file,
    composition,
    close() {},
  };
}
