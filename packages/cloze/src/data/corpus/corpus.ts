// A corpus on disk: its texts tokenized into shards, and which of its documents are trained on, held out or left out.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ClozeError } from "../../errors.js";
import type { DataWarning } from "../readers/warnings.js";
import { openShard, type ShardFile, type ShardInfo } from "./shard-file.js";

/** What a document is for. */
export const documentStates = { training: 0, validation: 1, duplicate: 2 } as const;

/** Counts of a source, or of the whole corpus. */
export interface CorpusCounts {
  readonly documents: number;
  readonly tokens: number;
}

export interface CorpusSourceInfo {
  /** What was named: a file, a folder, a pattern. */
  readonly path: string;
  /** Bytes of its files. */
  readonly bytes: number;
  readonly files: number;
  readonly training: CorpusCounts;
  readonly validation: CorpusCounts;
  readonly duplicates: CorpusCounts;
  /** First shard and the one after the last. */
  readonly shards: readonly [number, number];
}

/** What `corpus.json` holds. */
export interface CorpusManifest {
  readonly version: 1;
  /** Of the texts, the tokenizer and how they were read: another one is another corpus. */
  readonly fingerprint: string;
  readonly sources: readonly CorpusSourceInfo[];
  readonly shards: readonly ShardInfo[];
  /** What was odd about the texts. */
  readonly warnings: readonly DataWarning[];
}

/** A run of documents in a shard: what is read at a time. */
export interface CorpusBlock {
  readonly shard: number;
  /** Documents of the shard. */
  readonly from: number;
  readonly to: number;
}

/** Documents of a block, laid end to end. */
export interface BlockTokens {
  readonly ids: Uint16Array | Int32Array;
  /** Starts of the documents in `ids`, and the end of the last. [documents + 1] */
  readonly starts: Uint32Array;
  /** See `documentStates`. [documents] */
  readonly states: Uint8Array;
}

/** An opened corpus. */
export interface Corpus {
  readonly manifest: CorpusManifest;
  /** The runs of documents of a source, in the order of its files. */
  blocks(source: number): CorpusBlock[];
  read(block: CorpusBlock): BlockTokens;
  close(): void;
}

export const manifestName = "corpus.json";
export const statesName = "states.bin";
/** Shards that are open at a time. */
const mostOpen = 64;

/** Sums of counts over sources. */
export function totalOf({ sources }: CorpusManifest, kind: "training" | "validation" | "duplicates"): CorpusCounts {
  return {
    documents: sources.reduce((sum, source) => sum + source[kind].documents, 0),
    tokens: sources.reduce((sum, source) => sum + source[kind].tokens, 0),
  };
}

/**
 * Opens what `buildCorpus` made.
 *
 * @throws CORPUS_STORE_INVALID when it is not whole
 */
export function openCorpus(folder: string): Corpus {
  const path = join(folder, manifestName);
  let manifest: CorpusManifest;
  let states: Uint8Array;
  try {
    manifest = JSON.parse(readFileSync(path, "utf8")) as CorpusManifest;
    states = readFileSync(join(folder, statesName));
  } catch (cause) {
    throw new ClozeError("CORPUS_STORE_INVALID", `${folder} holds no whole corpus`, {
      received: existsSync(path) ? (cause instanceof Error ? cause.message : String(cause)) : `no ${manifestName}`,
      remedy: "Delete it; it is made again from the texts.",
      cause,
    });
  }
  const { shards, sources } = manifest;
  const starts = [0];
  for (const { documents } of shards) starts.push(starts[starts.length - 1] + documents);
  if (states.length !== starts[shards.length]) {
    throw new ClozeError("CORPUS_STORE_INVALID", `${join(folder, statesName)} is damaged`, {
      expected: `${starts[shards.length]} documents`,
      received: String(states.length),
      remedy: `Delete ${folder}; it is made again from the texts.`,
    });
  }
  const open = new Map<number, ShardFile>();
  const shardOf = (index: number): ShardFile => {
    const known = open.get(index);
    if (known !== undefined) return known;
    const [oldest] = open.keys();
    if (open.size >= mostOpen) {
      open.get(oldest)?.close();
      open.delete(oldest);
    }
    const opened = openShard(join(folder, shards[index].name));
    open.set(index, opened);
    return opened;
  };
  return {
    manifest,
    blocks(source) {
      const [first, end] = sources[source].shards;
      return shards
        .slice(first, end)
        .flatMap(({ blocks, documents }, i) =>
          blocks.map((from, b) => ({ shard: first + i, from, to: blocks[b + 1] ?? documents })),
        );
    },
    read({ shard, from, to }) {
      const file = shardOf(shard);
      const stored = file.ends(from, to);
      const ids = file.ids(stored[0], stored[to - from]);
      const begin = stored[0];
      const relative = stored.map((end) => end - begin);
      return { ids, starts: relative, states: states.subarray(starts[shard] + from, starts[shard] + to) };
    },
    close() {
      for (const file of open.values()) file.close();
      open.clear();
    },
  };
}
