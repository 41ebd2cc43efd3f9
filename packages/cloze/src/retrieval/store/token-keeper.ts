// What turns the tokens of an index into codes: learned from the first there are, and from then on the same.
import type { DataWarnings } from "../../data/readers/warnings.js";
import { sampleTokens, type TokenCodec, trainTokenCodec, usualSample } from "../late-interaction/token-codec.js";
import type { TokenFacts } from "./manifest.js";
import type { Segment } from "./segment.js";
import { missingCodec, readCodec, writeCodec } from "./token-codec-file.js";
import { packTokens } from "./token-codes.js";

export interface TokenKeeper {
  /** undefined until there are tokens. */
  readonly codec: TokenCodec | undefined;
  /** Reads the codec that the manifest names. @throws INDEX_CODEC */
  open(hash: string | undefined): void;
  /**
   * Learns a codec where there is none, and the tokens are some.
   *
   * @param told is called with the codec's hash when it is on the disk, and must write that down
   */
  learn(documents: readonly Float32Array[], told: (hash: string) => void): void;
  /** The codes of documents' tokens, as they lie. */
  encode(documents: readonly Float32Array[]): Uint8Array[];
  /** Looks at what there is. @throws INDEX_CODEC where tokens are there, and no codec */
  check(segments: readonly Segment[]): void;
}

/** Times as many tokens as a codec was learned from, from which on it is warned of. */
const outgrown = 50;

/** Keeps the codec of an index's tokens. */
export function createTokenKeeper(folder: string, facts: TokenFacts, warnings: DataWarnings): TokenKeeper {
  let codec: TokenCodec | undefined;
  let learnedFrom = 0;
  let warned = false;
  return {
    get codec() {
      return codec;
    },
    open(hash) {
      if (codec === undefined && hash !== undefined) ({ codec, learnedFrom } = readCodec(folder, facts, hash));
    },
    learn(documents, told) {
      if (codec !== undefined || documents.every(({ length }) => length === 0)) return;
      const sample = sampleTokens(documents, facts.width);
      const learned = trainTokenCodec(sample, facts.width, { bits: facts.bits });
      told(writeCodec(folder, facts, learned, sample.length / facts.width));
      codec = learned;
      learnedFrom = sample.length / facts.width;
    },
    encode: (documents) =>
      documents.map((rows) => (codec === undefined ? new Uint8Array(0) : packTokens(codec.encode(rows)))),
    check(segments) {
      const tokens = segments.reduce((sum, segment) => sum + segment.tokens, 0);
      if (codec === undefined && tokens > 0)
        throw missingCodec(folder, "an index that names its codec", "one that does not, and holds token vectors");
      if (warned || learnedFrom >= usualSample / 2 || tokens <= outgrown * learnedFrom) return;
      warned = true;
      const message =
        "tokens, coded by what was learned from far fewer: index again with more documents in the first batch";
      warnings.add("INDEX_CODEC_SMALL", message, `${learnedFrom} tokens`, tokens);
    },
  };
}
