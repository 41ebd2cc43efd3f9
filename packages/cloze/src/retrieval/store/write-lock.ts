// One writer at a time: a file that names the process that writes. One that a dead process left is taken over.
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { ClozeError } from "../../errors.js";

interface Holder {
  pid: number;
  host: string;
  /** When the process started, where the system says so: process ids are used again. */
  started?: string;
}

function startOf(pid: number): string | undefined {
  try {
    // The 22nd field, after the name in brackets, which may hold anything.
    return readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").pop()?.split(" ")[19];
  } catch {
    return undefined;
  }
}

function isAlive({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const now = startOf(pid);
  return started === undefined || now === undefined || now === started;
}

function holderOf(text: string): Holder | undefined {
  try {
    const { pid, host, started } = JSON.parse(text) as Holder;
    return typeof pid === "number" ? { pid, host, started } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a process that lives holds a folder's lock. */
export function isLocked(folder: string): boolean {
  try {
    const holder = holderOf(readFileSync(join(folder, "lock"), "utf8"));
    return holder !== undefined && isAlive(holder);
  } catch {
    return false;
  }
}

let counter = 0;

/**
 * Takes the lock of a folder; the result gives it back.
 *
 * @throws INDEX_LOCKED while another process (or this one) writes
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, "lock");
  const own = join(folder, `lock.${process.pid}.${++counter}`);
  const content = JSON.stringify({ pid: process.pid, host: hostname(), started: startOf(process.pid), count: counter });
  // Written whole under a name of its own, then linked: nobody ever reads half a lock.
  writeFileSync(own, content);
  try {
    for (let attempt = 0; attempt < 100; attempt++) {
      try {
        linkSync(own, path);
        return () => {
          try {
            if (readFileSync(path, "utf8") === content) rmSync(path, { force: true });
          } catch {
            // Gone already.
          }
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      let found: string;
      try {
        found = readFileSync(path, "utf8");
      } catch {
        continue;
      }
      const holder = holderOf(found);
      if (holder !== undefined && isAlive(holder)) {
        throw new ClozeError("INDEX_LOCKED", `${folder} is being written by another process`, {
          expected: "one writer at a time",
          received: `process ${holder.pid} on ${holder.host}`,
          remedy: `Wait for it, or end it. If it is surely gone, remove ${path}.`,
        });
      }
      takeAway(path, found);
    }
  } finally {
    rmSync(own, { force: true });
  }
  throw new ClozeError("INDEX_LOCKED", `${folder} could not be locked`, { received: "others were faster, many times" });
}

/** Removes a dead process's lock, unless somebody has replaced it in the meantime. */
function takeAway(path: string, dead: string): void {
  const aside = `${path}.dead.${process.pid}.${++counter}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  try {
    if (readFileSync(aside, "utf8") !== dead) linkSync(aside, path);
  } catch {
    // The place was taken again: its holder has a lock of its own.
  } finally {
    rmSync(aside, { force: true });
  }
}
