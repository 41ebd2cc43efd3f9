// CIFAR-10's binary records: a byte with the class, then 32 x 32 pixels, red, green, blue.
import { readFileSync } from "node:fs";
import { ClozeError } from "../../errors.js";
import { unpackBytes } from "../../text/compression.js";
import { readFailure } from "../readers/bytes.js";
import type { DataWarnings } from "../readers/warnings.js";
import type { ImageSet } from "./image-set.js";

const side = 32;
const bytesOfImage = 3 * side * side;

/** Reads a file, unpacked where it is packed. @throws DATA_FILE_MISSING, DATA_FILE_READ, DATA_COMPRESSION */
export function readWhole(path: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw readFailure(path, "none", cause);
    throw new ClozeError("DATA_FILE_MISSING", `${path} could not be read`, {
      expected: "a file of images",
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Check the path and who may read it.",
      cause,
    });
  }
  return unpackBytes(bytes, path);
}

/**
 * Reads a file of CIFAR-10's records, gzipped or not. A record that is cut off at the end is left out and counted.
 *
 * @throws DATA_FILE_MISSING, DATA_FILE_READ, DATA_COMPRESSION, DATA_EMPTY when there is no whole record
 */
export function readCifar(path: string, warnings?: DataWarnings): ImageSet & { readonly labels: Int32Array } {
  const bytes = readWhole(path);
  const record = bytesOfImage + 1;
  const count = Math.floor(bytes.length / record);
  if (count === 0) {
    throw new ClozeError("DATA_EMPTY", `There are no images in ${path}`, {
      expected: `records of ${record} bytes: a class, and ${side} x ${side} pixels in three planes`,
      received: `${bytes.length} bytes`,
    });
  }
  if (bytes.length % record !== 0) {
    warnings?.add("IMAGE_CUT", "a record is cut off, and left out", `${path}, record ${count + 1}`);
  }
  const pixels = new Uint8Array(count * bytesOfImage);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = bytes[i * record];
    pixels.set(bytes.subarray(i * record + 1, (i + 1) * record), i * bytesOfImage);
  }
  return { count, channels: 3, height: side, width: side, pixels, labels };
}
