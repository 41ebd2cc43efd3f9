// One file of the hub into the cache: resumed, verified, whole or not at all.
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, type FileHandle, mkdir, open, readlink, rename, rm, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ClozeError } from "../../errors.js";
import { sizeOf } from "./cache.js";
import { type HubConnection, TransientError } from "./connection.js";
import { claimIncomplete, releaseIncomplete, removeLeftovers } from "./incomplete.js";
import type { HubFile } from "./listing.js";

export interface DownloadOptions {
  /** Address of the file's content. */
  url: string;
  file: HubFile;
  /** The repository's blobs/. */
  blobs: string;
  signal?: AbortSignal;
  /** Bytes of the file that are there. */
  onBytes?(present: number): void;
}

/** LFS names content by its SHA-256; git by the SHA-1 of a head and the content. */
const hasherOf = ({ hash, size }: HubFile): Hash =>
  hash.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);

const wrongContent = ({ path, hash }: HubFile, received: string) =>
  new ClozeError("HUB_CHECKSUM", `${path} did not arrive as the hub lists it; it was thrown away`, {
    expected: `${hash.length === 64 ? "SHA-256" : "git blob"} ${hash}`,
    received,
    remedy:
      "Try again; if it stays so, something between here and the hub changes files, or HF_ENDPOINT is no faithful mirror.",
  });

/** A full disk in words; anything else unchanged. */
export function diskError(error: unknown, place: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new ClozeError("DISK_FULL", `The disk of ${place} is full; the unfinished file was removed`, {
    remedy: "Free some space, or set HF_HUB_CACHE to a folder on another disk.",
    cause: error,
  });
}

/** Follows redirects by hand: the hub's own answer, which names the content, is one. */
async function request({ fetch }: HubConnection, start: string, file: HubFile, from: number, signal?: AbortSignal) {
  // A compressed answer has no ranges.
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (from > 0) headers.range = `bytes=${from}-`;
  let url = start;
  for (let hop = 0; hop < 8; hop++) {
    const response = await fetch(url, { headers, redirect: "manual", signal });
    const etag = (response.headers.get("x-linked-etag") ?? "").replace(/^W\/|"/g, "");
    if (etag.length === file.hash.length && etag !== file.hash) {
      await response.body?.cancel();
      throw wrongContent(file, `x-linked-etag ${etag}`);
    }
    const location = response.headers.get("location");
    if (response.status < 300 || response.status === 304 || location === null) return response;
    await response.body?.cancel();
    url = new URL(location, url).href;
  }
  throw new TransientError(`too many redirects from ${start}`);
}

/** One attempt: appends what is missing. Returns the hash of all. */
async function fetchRest(
  connection: HubConnection,
  handle: FileHandle,
  path: string,
  { url, file, signal, onBytes }: DownloadOptions,
  advanced: () => void,
): Promise<string> {
  let hasher = hasherOf(file);
  let present = (await handle.stat()).size;
  if (present > file.size) {
    await handle.truncate(0);
    present = 0;
  }
  if (present > 0) for await (const chunk of createReadStream(path, { end: present - 1 })) hasher.update(chunk);
  onBytes?.(present);
  if (present === file.size) return hasher.digest("hex");
  const response = await request(connection, url, file, present, signal);
  const continues =
    response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${present}-`) === true;
  if (!continues && present > 0) {
    await handle.truncate(0);
    hasher = hasherOf(file);
    present = 0;
    onBytes?.(0);
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new TransientError(`status ${response.status} to a request for a part`);
    }
  }
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    if (present + chunk.length > file.size) throw wrongContent(file, `more than ${file.size} bytes`);
    for (let done = 0; done < chunk.length; ) {
      done += (await handle.write(chunk, done, chunk.length - done, present + done)).bytesWritten;
    }
    hasher.update(chunk);
    present += chunk.length;
    advanced();
    onBytes?.(present);
  }
  if (present < file.size) throw new TransientError(`the connection ended after ${present} of ${file.size} bytes`);
  return hasher.digest("hex");
}

/** Flushes a folder's entries, where the system can. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

async function fill(connection: HubConnection, path: string, options: DownloadOptions): Promise<void> {
  const { file, signal } = options;
  const handle = await open(path, "r+");
  try {
    const resumed = (await handle.stat()).size > 0;
    const all = () =>
      connection.patiently(
        `Downloading ${file.path}`,
        (advanced) => fetchRest(connection, handle, path, options, advanced),
        signal,
      );
    let digest = await all();
    // A half that a crash left may hold anything; a fresh start decides.
    if (digest !== file.hash && resumed) {
      await handle.truncate(0);
      digest = await all();
    }
    if (digest !== file.hash) throw wrongContent(file, digest);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Downloads a file to `blobs/<hash>`, unless it is there. Of several processes one downloads and the others wait.
 *
 * @throws HUB_CHECKSUM, HUB_NETWORK, HUB_NOT_FOUND, HUB_UNAUTHORIZED, DISK_FULL
 */
export async function downloadBlob(connection: HubConnection, options: DownloadOptions): Promise<string> {
  const { file, blobs, signal, onBytes } = options;
  const blob = join(blobs, file.hash);
  for (;;) {
    signal?.throwIfAborted();
    if (sizeOf(blob) === file.size) {
      onBytes?.(file.size);
      return blob;
    }
    const claim = await claimIncomplete(blobs, file.hash);
    if ("busy" in claim) {
      onBytes?.(Math.min(claim.busy, file.size));
      await wait(200, undefined, { signal });
      continue;
    }
    const { path } = claim;
    // Another process may have finished between the look and the claim.
    if (sizeOf(blob) === file.size) {
      await rm(path, { force: true });
      continue;
    }
    try {
      await fill(connection, path, options);
      await rename(path, blob);
    } catch (cause) {
      const error = diskError(cause, blobs);
      const worthless = error instanceof ClozeError && (error.code === "HUB_CHECKSUM" || error.code === "DISK_FULL");
      if (worthless || sizeOf(path) === 0) await rm(path, { force: true });
      else await releaseIncomplete(blobs, file.hash, path);
      throw error;
    }
    await syncFolder(blobs);
    await removeLeftovers(blobs, file.hash);
    return blob;
  }
}

/** Puts a blob into a snapshot: a relative link, or a copy where the system allows no links. */
export async function linkIntoSnapshot(blob: string, pointer: string): Promise<void> {
  const target = relative(dirname(pointer), blob);
  const there = await readlink(pointer).catch(() => undefined);
  if (there === target || (there === undefined && sizeOf(pointer) === sizeOf(blob))) return;
  await mkdir(dirname(pointer), { recursive: true });
  const temporary = `${pointer}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
  try {
    await symlink(target, temporary).catch(() => copyFile(blob, temporary));
    await rename(temporary, pointer);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw diskError(cause, dirname(pointer));
  }
}
