// The codec of an index's token vectors: written once, before the first document that needs it, and named by its hash, so that
// codes are never read by another.
import { createHash } from "node:crypto";
import { ClozeError } from "../../errors.js";
import { type TokenCodec, tokenCodec } from "../late-interaction/token-codec.js";
import { openDerived, writeDerived } from "./derived-file.js";
import { guardWrite } from "./file-io.js";
import { codecPath, type TokenFacts } from "./manifest.js";
import { mostCentroids } from "./token-codes.js";

type Learned = Pick<TokenCodec, "centroids" | "cuts" | "values">;

function hashOf({ width, bits }: Pick<TokenFacts, "width" | "bits">, { centroids, cuts, values }: Learned): string {
  const hash = createHash("sha256").update(`${width} ${bits}`);
  for (const { buffer, byteOffset, byteLength } of [centroids, cuts, values])
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex");
}

/**
 * Writes a codec in one step.
 *
 * @param learnedFrom tokens
 * @returns its hash
 * @throws DISK_FULL, FILE_WRITE
 */
export function writeCodec(
  folder: string,
  facts: Pick<TokenFacts, "width" | "bits">,
  learned: Learned,
  learnedFrom: number,
): string {
  const path = codecPath(folder);
  const { centroids, cuts, values } = learned;
  guardWrite(path, () => writeDerived(path, { learnedFrom }, { centroids, cuts, values }));
  return hashOf(facts, learned);
}

/**
 * Reads the codec of an index.
 *
 * @param hash what the index knows it by
 * @throws INDEX_CODEC where it is missing, damaged or another
 */
export function readCodec(
  folder: string,
  facts: Pick<TokenFacts, "width" | "bits">,
  hash: string,
): { codec: TokenCodec; learnedFrom: number } {
  const path = codecPath(folder);
  const file = openDerived(path);
  let received = "no file, or one that is cut";
  try {
    if (file?.has("centroids") && file.has("cuts") && file.has("values")) {
      const learned = {
        centroids: file.read("centroids", Float32Array),
        cuts: file.read("cuts", Float32Array),
        values: file.read("values", Float32Array),
      };
      const found = hashOf(facts, learned);
      if (found === hash && learned.centroids.length <= mostCentroids * facts.width)
        return { codec: tokenCodec({ ...facts, ...learned }), learnedFrom: Number(file.facts.learnedFrom) };
      received = `one whose hash is ${found.slice(0, 12)}`;
    }
  } finally {
    file?.close();
  }
  throw missingCodec(folder, `the codec ${hash.slice(0, 12)}`, received);
}

/** What opening an index gets whose token vectors nothing can read. */
export const missingCodec = (folder: string, expected: string, received: string): ClozeError =>
  new ClozeError("INDEX_CODEC", `The token vectors of ${folder} cannot be read: ${codecPath(folder)} is not theirs`, {
    expected,
    received,
    remedy: "Put the file back from a copy of the index, or index the documents again.",
  });
