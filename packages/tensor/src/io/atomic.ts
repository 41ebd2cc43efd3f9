// Files that appear whole or not at all.
import { ClozeError } from "../errors.js";
import { files, paths } from "../files.js";

const { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeSync } = files;
const { basename, dirname, join } = paths;

/** Flushes a folder's entries, where the system can (not on Windows). */
function syncFolder(folder: string): void {
  let handle: number;
  try {
    handle = openSync(folder, "r");
  } catch {
    return;
  }
  try {
    fsyncSync(handle);
  } catch {
    // Some file systems refuse; the rename is then as durable as they make it.
  } finally {
    closeSync(handle);
  }
}

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(handle, bytes, done, bytes.length - done);
}

let counter = 0;

class Draft {
  readonly #path: string;
  readonly #temporary: string;
  #handle: number | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${++counter}.tmp`);
    this.#handle = this.#guard(() => openSync(this.#temporary, "wx"));
  }

  write(chunk: string | Uint8Array): void {
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#guard(() => writeAll(handle, typeof chunk === "string" ? Buffer.from(chunk, "utf8") : chunk));
  }

  finish(): void {
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#guard(() => {
      fsyncSync(handle);
      closeSync(handle);
      this.#handle = undefined;
      renameSync(this.#temporary, this.#path);
    });
    syncFolder(dirname(this.#path));
  }

  abandon(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
    this.#handle = undefined;
    rmSync(this.#temporary, { force: true });
  }

  #guard<T>(body: () => T): T {
    try {
      return body();
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? "";
      throw new ClozeError(
        code === "ENOSPC" || code === "EDQUOT" ? "DISK_FULL" : "FILE_WRITE",
        `${this.#path} could not be written; what was there before is intact`,
        {
          received: cause instanceof Error ? cause.message : String(cause),
          remedy:
            code === "ENOSPC" || code === "EDQUOT"
              ? "Free some space, or write elsewhere."
              : "Check that the folder exists and may be written to.",
          cause,
        },
      );
    }
  }
}

/**
 * Writes a file so that at any moment, and after a crash, the path holds the old content or the new one, never a part:
 * written under a temporary name in the same folder, flushed, renamed, and the folder flushed. When anything fails, also
 * inside the iterable, the temporary file is removed and the old one stays.
 *
 * @throws FILE_WRITE, DISK_FULL
 */
export function writeFileAtomic(path: string, data: string | Uint8Array | Iterable<Uint8Array>): void {
  const draft = new Draft(path);
  try {
    if (typeof data === "string" || data instanceof Uint8Array) draft.write(data);
    else for (const chunk of data) draft.write(chunk);
    draft.finish();
  } catch (error) {
    draft.abandon();
    throw error;
  }
}

/** The same for chunks that arrive over time. */
export async function writeFileAtomicAsync(path: string, data: AsyncIterable<string | Uint8Array>): Promise<void> {
  const draft = new Draft(path);
  try {
    for await (const chunk of data) draft.write(chunk);
    draft.finish();
  } catch (error) {
    draft.abandon();
    throw error;
  }
}

/** Removes what writes that were killed left in a folder. Nobody else may be writing there. */
export function removeDrafts(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (/^\..+\.\d+\.\d+\.tmp$/.test(name)) rmSync(join(folder, name), { force: true });
  }
}
