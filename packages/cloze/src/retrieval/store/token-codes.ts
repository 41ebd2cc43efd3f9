// How the codes of a document's tokens lie: the number of each token's centroid in 2 bytes, then the residuals of each.
import { residualBytes, type TokenCodec, type TokenCodes } from "../late-interaction/token-codec.js";

/** Bytes of a centroid's number. */
export const centroidBytes = 2;
/** Centroids whose numbers fit. */
export const mostCentroids = 2 ** 16;

/** Bytes of a token. */
export const tokenBytesOf = (codec: Pick<TokenCodec, "width" | "bits">): number => centroidBytes + residualBytes(codec);

/** Codes as they lie. */
export function packTokens({ centroids, residuals }: TokenCodes): Uint8Array {
  const bytes = new Uint8Array(centroids.length * centroidBytes + residuals.length);
  bytes.set(new Uint8Array(Uint16Array.from(centroids).buffer));
  bytes.set(residuals, centroids.length * centroidBytes);
  return bytes;
}

/** The centroids of a document's tokens. @param bytes codes as they lie, or the beginning of them */
export function centroidsIn(bytes: Uint8Array, tokens: number): Uint16Array {
  const centroids = new Uint16Array(tokens);
  // They may begin anywhere, and a Buffer's own slice would be a view of it.
  new Uint8Array(centroids.buffer).set(bytes.subarray(0, tokens * centroidBytes));
  return centroids;
}

/** Codes that {@link packTokens} laid. @param tokenBytes of {@link tokenBytesOf} */
export function unpackTokens(bytes: Uint8Array, tokenBytes: number): TokenCodes {
  const tokens = bytes.length / tokenBytes;
  return { centroids: centroidsIn(bytes, tokens), residuals: bytes.subarray(tokens * centroidBytes) };
}
