// Who writes which half of a file. Every download has its own `<hash>.<owner>.incomplete`, so that no two processes ever
// write to one file; what a dead owner left is taken over by renaming it, which only one process can.
import { createHash } from "node:crypto";
import { open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/** Given up in order, free to be taken. */
const released = "released";
/** An owner on another machine that wrote nothing for so long is gone, milliseconds. */
const abandonedAfter = 10 * 60_000;

const machine = createHash("sha1").update(hostname()).digest("hex").slice(0, 8);
let counter = 0;

interface Part {
  readonly path: string;
  readonly owner: string;
  readonly size: number;
  readonly alive: boolean;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function partsOf(folder: string, hash: string): Promise<Part[]> {
  const parts: Part[] = [];
  for (const name of await readdir(folder)) {
    const owner = name.startsWith(`${hash}.`)
      ? /^[0-9a-f]+\.(released|[0-9a-f]{8}-\d+-\d+)\.incomplete$/.exec(name)?.[1]
      : undefined;
    if (owner === undefined) continue;
    const path = join(folder, name);
    const info = await stat(path).catch(() => undefined);
    if (info === undefined) continue;
    const [place, pid] = owner.split("-");
    const recent = Date.now() - info.mtimeMs < abandonedAfter;
    const alive = owner !== released && recent && (place !== machine || isRunning(Number(pid)));
    parts.push({ path, owner, size: info.size, alive });
  }
  return parts.sort((a, b) => b.size - a.size);
}

/** A half of a file that is ours alone, or how far the process is that is busy with it. */
export type Claim = { readonly path: string } | { readonly busy: number };

/** Takes the file to download `hash` into: the longest that a dead process left, else a new one. */
export async function claimIncomplete(folder: string, hash: string): Promise<Claim> {
  const owner = `${machine}-${process.pid}-${++counter}`;
  const path = join(folder, `${hash}.${owner}.incomplete`);
  const before = await partsOf(folder, hash);
  const busy = before.find(({ alive }) => alive);
  if (busy !== undefined) return { busy: busy.size };
  for (const part of before) {
    try {
      await rename(part.path, path);
      await utimes(path, new Date(), new Date());
      return { path };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  await (await open(path, "wx")).close();
  // Two that start at the same moment see each other here; one of them steps back.
  const rival = (await partsOf(folder, hash)).find(
    (part) => part.alive && part.path !== path && (part.size > 0 || part.owner < owner),
  );
  if (rival === undefined) return { path };
  await rm(path, { force: true });
  return { busy: rival.size };
}

/** Leaves a half for the next who wants it. */
export async function releaseIncomplete(folder: string, hash: string, path: string): Promise<void> {
  await rename(path, join(folder, `${hash}.${released}.incomplete`)).catch(() => {});
}

/** Removes what others left of a file that is now whole. */
export async function removeLeftovers(folder: string, hash: string): Promise<void> {
  for (const part of await partsOf(folder, hash)) if (!part.alive) await rm(part.path, { force: true });
}
