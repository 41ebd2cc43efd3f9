import { mkdir, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import { cachedSnapshot, isCommit, missingFromSnapshot, repositoryFolder, sizeOf } from "./cache.js";
import { connectHub, type HubConnection } from "./connection.js";
import { downloadBlob, linkIntoSnapshot } from "./download.js";
import { chooseFiles, type FileChoice } from "./files.js";
import { type HubId, parseHubId, type RepositoryType } from "./hub-id.js";
import { type HubFile, listRepository } from "./listing.js";
import { type HubOptions, hubSettings } from "./settings.js";

/** How far a download is, over all files. */
export interface PullProgress {
  /** Bytes that are there, those of earlier runs included. */
  readonly bytes: number;
  readonly totalBytes: number;
  /** Bytes that this call received. */
  readonly received: number;
  readonly filesDone: number;
  readonly files: number;
}

export interface PullOptions extends HubOptions, FileChoice {
  /** Branch, tag, commit, or refs/pr/N. Default: what the id says after @, else "main". */
  revision?: string;
  /** Default "model". Of a dataset all files are downloaded. */
  type?: RepositoryType;
  progress?(event: PullProgress): void;
  /** Ends the download; what has arrived stays for the next call. */
  signal?: AbortSignal;
}

const filesAtOnce = 4;

function offlineFolder(id: HubId, { include, type }: PullOptions, cacheFolder: string): string {
  const folder = cachedSnapshot(cacheFolder, id, type);
  const asked = type === "dataset" || include !== undefined;
  const missing = folder === undefined || asked ? undefined : missingFromSnapshot(folder);
  if (folder !== undefined && missing === undefined) return folder;
  throw new ClozeError("HUB_OFFLINE", `${id.name} is not in the cache, and the network is not to be used`, {
    received: missing === undefined ? `nothing in ${cacheFolder}` : `a snapshot without ${missing}`,
    remedy: `Without HF_HUB_OFFLINE: cloze pull ${id.name}${id.revision === undefined ? "" : `@${id.revision}`}`,
  });
}

/** Fails before the first byte when the rest cannot fit. */
async function checkSpace(folder: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (needed <= bavail * bsize) return;
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  throw new ClozeError("DISK_FULL", `The disk of ${folder} has too little space; nothing was downloaded`, {
    expected: megabytes(needed),
    received: megabytes(bavail * bsize),
    remedy: "Free some space, or set HF_HUB_CACHE to a folder on another disk.",
  });
}

/** Runs `work` on all items, a few at a time; the first error stops the others and is thrown when they have ended. */
async function eachOf<T>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const queue = items[Symbol.iterator]();
  const errors: unknown[] = [];
  const worker = async () => {
    for (const item of queue) {
      try {
        either.throwIfAborted();
        await work(item, either);
      } catch (error) {
        errors.push(error);
        stop.abort();
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, worker));
  if (errors.length > 0) throw errors[0];
}

async function pullSnapshot(connection: HubConnection, id: HubId, options: PullOptions): Promise<string> {
  const { type = "model", progress, signal } = options;
  const { cacheFolder, endpoint } = connection.settings;
  const { commit, files } = await listRepository(connection, id, type);
  const chosen = chooseFiles(id.name, files, { ...options, everything: type === "dataset" });
  const repository = repositoryFolder(cacheFolder, id.name, type);
  const blobs = join(repository, "blobs");
  const snapshot = join(repository, "snapshots", commit);
  await mkdir(blobs, { recursive: true });
  await mkdir(snapshot, { recursive: true });

  const present = new Map<HubFile, number>();
  const missing = chosen.filter(({ hash, size }) => sizeOf(join(blobs, hash)) !== size);
  await checkSpace(
    blobs,
    missing.reduce((sum, { size }) => sum + size, 0),
  );
  const totalBytes = chosen.reduce((sum, { size }) => sum + size, 0);
  let received = 0;
  let filesDone = 0;
  const report = () => {
    const bytes = [...present.values()].reduce((sum, count) => sum + count, 0);
    progress?.({ bytes, totalBytes, received, filesDone, files: chosen.length });
  };
  const base = `${endpoint}/${type === "dataset" ? "datasets/" : ""}${id.name}/resolve/${commit}`;
  await eachOf(chosen, signal, async (file, stop) => {
    const blob = await downloadBlob(connection, {
      url: `${base}/${file.path.split("/").map(encodeURIComponent).join("/")}`,
      file,
      blobs,
      signal: stop,
      onBytes(count) {
        const before = present.get(file);
        // The first report says what was there already.
        if (before !== undefined && count > before) received += count - before;
        present.set(file, count);
        report();
      },
    });
    await linkIntoSnapshot(blob, join(snapshot, ...file.path.split("/")));
    filesDone++;
    report();
  });
  // Last: a revision never points to a snapshot that is still being filled.
  const revision = id.revision ?? "main";
  if (!isCommit(revision)) {
    const ref = join(repository, "refs", ...revision.split("/"));
    await mkdir(dirname(ref), { recursive: true });
    writeFileAtomic(ref, commit);
  }
  return snapshot;
}

/**
 * Downloads a model (or a dataset) from the Hugging Face hub into the cache that all Hugging Face libraries share, and
 * returns the folder of its snapshot. What is there is not downloaded again; what was interrupted goes on; every file is
 * verified. With `offline` the snapshot of the cache is returned.
 *
 * @throws HUB_ID_INVALID, HUB_OFFLINE, HUB_NOT_FOUND, HUB_UNAUTHORIZED, HUB_CHECKSUM, HUB_NETWORK, HUB_UNSAFE_PATH,
 * WEIGHTS_FORMAT, DISK_FULL, FILE_WRITE
 * @example
 * const model = loadModel(await pullModel("google-bert/bert-base-uncased"));
 */
export async function pullModel(idText: string, options: PullOptions = {}): Promise<string> {
  const parsed = parseHubId(options.revision === undefined ? idText : `${idText}@${options.revision}`);
  const settings = hubSettings(options);
  if (settings.offline) return offlineFolder(parsed, options, settings.cacheFolder);
  const connection = await connectHub(settings);
  try {
    return await pullSnapshot(connection, parsed, options);
  } finally {
    await connection.close();
  }
}
