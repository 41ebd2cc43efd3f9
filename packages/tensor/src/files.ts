// Files as Node has them. A browser has none: there, what was fetched before is held in memory under made-up paths, so that
// whatever loads a model reads it in both places in the same way.
import { ClozeError } from "./errors.js";
import { nodeModule } from "./host.js";

type NodeFiles = typeof import("node:fs");
type NodePaths = typeof import("node:path");

const held = new Map<string, Uint8Array>();

/** Puts files in the place of a folder that `files` can read in a browser; `release` lets go of them. */
export function holdFiles(folder: string, contents: ReadonlyMap<string, Uint8Array>): { release(): void } {
  const names = [...contents].map(([name, bytes]) => {
    const path = `${folder}/${name}`;
    held.set(path, bytes);
    return path;
  });
  return {
    release() {
      for (const path of names) held.delete(path);
    },
  };
}

/** The few functions that reading takes, over what is held. */
function heldFiles(): NodeFiles {
  const open: (Uint8Array | undefined)[] = [];
  const isFolder = (path: string): boolean => [...held.keys()].some((name) => name.startsWith(`${path}/`));
  const contentOf = (path: string): Uint8Array => {
    const bytes = held.get(path);
    if (bytes !== undefined) return bytes;
    throw new ClozeError("FILE_NOT_FOUND", `${path} was not fetched`, {
      remedy: "A browser reads fetched files only.",
    });
  };
  const stats = (path: string) => ({
    size: held.get(path)?.length ?? 0,
    isDirectory: () => isFolder(path),
    isFile: () => held.has(path),
  });
  const functions = {
    existsSync: (path: string) => held.has(path) || isFolder(path),
    statSync: stats,
    readFileSync: (path: string, encoding?: string) =>
      encoding === undefined ? contentOf(path) : new TextDecoder().decode(contentOf(path)),
    openSync: (path: string) => open.push(contentOf(path)) - 1,
    fstatSync: (handle: number) => ({
      size: open[handle]?.length ?? 0,
      isDirectory: () => false,
      isFile: () => true,
    }),
    readSync(handle: number, into: Uint8Array, offset: number, length: number, position: number) {
      const part = open[handle]?.subarray(position, position + length) ?? new Uint8Array();
      into.set(part, offset);
      return part.length;
    },
    closeSync(handle: number) {
      open[handle] = undefined;
    },
  };
  return new Proxy(functions, {
    get(target, name) {
      if (name in target) return target[name as keyof typeof target];
      return () => {
        throw new ClozeError("FILES_READ_ONLY", "A browser writes no files");
      };
    },
  }) as unknown as NodeFiles;
}

/** Node's path functions for paths with slashes, as far as loading needs them. */
function slashPaths(): NodePaths {
  const join = (...parts: string[]): string => parts.filter((part) => part !== "" && part !== ".").join("/");
  const basename = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
  const dirname = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/"))) || ".";
  const extname = (path: string): string => /\.[^./]+$/.exec(path)?.[0] ?? "";
  return { join, basename, dirname, extname } as unknown as NodePaths;
}

/** `node:fs`, or what a browser has instead: reading what was fetched. */
export const files: NodeFiles = nodeModule("node:fs") ?? heldFiles();
/** `node:path`, or what a browser has instead. */
export const paths: NodePaths = nodeModule("node:path") ?? slashPaths();
