// The cache that all Hugging Face libraries share: models--org--name/{blobs,refs,snapshots}.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ClozeError } from "../../errors.js";
import type { HubId, RepositoryType } from "./hub-id.js";

export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/** Where a repository lives in the cache. */
export const repositoryFolder = (cacheFolder: string, name: string, type: RepositoryType = "model"): string =>
  join(cacheFolder, `${type}s--${name.replaceAll("/", "--")}`);

/** The snapshot of a revision (default "main") that the cache holds; undefined when it has none. */
export function cachedSnapshot(
  cacheFolder: string,
  { name, revision = "main" }: HubId,
  type: RepositoryType = "model",
): string | undefined {
  const repository = repositoryFolder(cacheFolder, name, type);
  let commit = revision;
  if (!isCommit(revision)) {
    try {
      commit = readFileSync(join(repository, "refs", ...revision.split("/")), "utf8").trim();
    } catch {
      return undefined;
    }
    if (!isCommit(commit)) return undefined;
  }
  const folder = join(repository, "snapshots", commit);
  return existsSync(folder) ? folder : undefined;
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * What a snapshot lacks to be loaded as a model: other programs keep snapshots with a tokenizer only, and downloads get
 * interrupted. Undefined when nothing is missing. Weights of another format count as there; loading says what is wrong.
 */
export function missingFromSnapshot(folder: string): string | undefined {
  const has = (name: string) => existsSync(join(folder, name));
  const listed = readJson(join(folder, "modules.json"));
  const modules = (Array.isArray(listed) ? listed : []) as { path?: unknown; type?: unknown }[];
  // Tables of vectors and routers have no model in the folder itself.
  const [first] = modules;
  if (first !== undefined && !String(first.type).endsWith("Transformer")) return missingModule(first, has);
  if (!has("config.json")) return "config.json";
  const index = readJson(join(folder, "model.safetensors.index.json")) as { weight_map?: Record<string, string> };
  if (!has("model.safetensors") && index !== undefined) {
    const shard = [...new Set(Object.values(index?.weight_map ?? {}))].find((name) => !has(name));
    if (shard !== undefined) return shard;
  } else if (!has("model.safetensors") && !has("pytorch_model.bin")) return "model.safetensors";
  for (const { path, type } of modules) {
    if (typeof path !== "string" || path === "" || String(type).endsWith("Normalize")) continue;
    const settings = ["config.json", "router_config.json"].map((name) => join(path, name));
    if (!settings.some(has)) return `${path}/config.json`;
  }
  return undefined;
}

/** What a first module that is no transformer lacks: a router its settings, any other its weights. */
function missingModule({ path }: { path?: unknown }, has: (name: string) => boolean): string | undefined {
  const place = (name: string) => join(typeof path === "string" ? path : "", name);
  const found = ["router_config.json", "model.safetensors", "pytorch_model.bin"].some((name) => has(place(name)));
  return found ? undefined : place("model.safetensors");
}

/**
 * Refuses names that would leave the snapshot's folder, or mean something to a file system.
 *
 * @throws HUB_UNSAFE_PATH
 */
export function checkFileName(path: string): void {
  const bad = path
    .split("/")
    .some((piece) => piece === "" || piece === "." || piece === ".." || /[\\:\p{Cc}]/u.test(piece));
  if (!bad) return;
  throw new ClozeError("HUB_UNSAFE_PATH", "The repository holds a file whose name leaves its folder; it is refused", {
    received: JSON.stringify(path),
    remedy: "Do not trust this repository.",
  });
}

/** The size of a file, or undefined when there is none. */
export const sizeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.size;
