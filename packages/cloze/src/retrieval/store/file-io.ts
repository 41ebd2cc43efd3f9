// Reading and appending whole pieces, with errors for people.
import { openSync, readSync, writeSync } from "node:fs";
import { ClozeError } from "../../errors.js";

/** Runs a write; a full disk and other failures become coded errors. */
export function guardWrite<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    const full = code === "ENOSPC" || code === "EDQUOT";
    throw new ClozeError(full ? "DISK_FULL" : "FILE_WRITE", `${path} could not be written`, {
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: full
        ? "Free some space. Every document that was acknowledged is still in the index."
        : "Check that the folder may be written to. Every document that was acknowledged is still in the index.",
      cause,
    });
  }
}

/** Appends at a position. */
export function writeAt(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, position + done);
}

const largestRead = 1 << 30;

/** Fills an array from a position; returns the bytes that were there. */
export function readAt(file: number, into: Uint8Array, position: number): number {
  let done = 0;
  while (done < into.length) {
    const count = readSync(file, into, done, Math.min(largestRead, into.length - done), position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Opens for reading and writing; makes the file where there is none. */
export const openForAppend = (path: string): number => {
  try {
    return openSync(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return openSync(path, "w+");
  }
};
