// A saved embedder by its URL, for pages: any static file server will do.
import { holdFiles } from "@cloze/tensor";
import { joinArrays } from "../data/join-arrays.js";
import { ClozeError } from "../errors.js";
import type { Embedder } from "./embedder.js";
import { lastSegment, routerFile, routerTypes, type Step } from "./folder/router-file.js";
import { type LoadEmbedderOptions, loadEmbedder } from "./sentence-transformers.js";

/** What has arrived of the file that is being fetched. */
export interface FetchProgress {
  readonly file: string;
  readonly bytes: number;
  /** As the server says; undefined where it does not. */
  readonly total?: number;
}

export interface FetchEmbedderOptions extends LoadEmbedderOptions {
  onProgress?: (progress: FetchProgress) => void;
}

/** What a folder has whose first module is a transformer, or that is a plain model. */
const required = ["config.json", "tokenizer.json"];
const besides = [
  "modules.json",
  "config_sentence_transformers.json",
  "sentence_bert_config.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
];
const weightsName = "model.safetensors";
/** What modules of routes may have: an encoder of one file, its tokenizer, or a few weights. */
const ofRoutes = ["config.json", weightsName, ...required.slice(1), ...besides.slice(2)];
const indexName = "model.safetensors.index.json";

/** The bytes of a file; undefined where there is none. A server may answer with a page instead of an error. */
async function fetchFile(
  url: URL,
  file: string,
  onProgress?: FetchEmbedderOptions["onProgress"],
): Promise<Uint8Array | undefined> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new ClozeError("FETCH_FAILED", `${url} cannot be reached`, { cause });
  }
  if (response.status === 404 || response.headers.get("content-type")?.startsWith("text/html")) return undefined;
  if (!response.ok || response.body === null) {
    throw new ClozeError("FETCH_FAILED", `${url} answered ${response.status} ${response.statusText}`);
  }
  const total = Number(response.headers.get("content-length")) || undefined;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    bytes += value.length;
    onProgress?.({ file, bytes, total });
  }
  return joinArrays(parts, Uint8Array);
}

const json = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

/** What modules.json lists, paths without a dot for the folder itself. */
function modulesIn(bytes: Uint8Array | undefined): Step[] {
  const modules = bytes === undefined ? [] : json(bytes);
  if (!Array.isArray(modules)) return [];
  return modules.map((one: { path?: unknown; type?: unknown }) => ({
    path: String(one?.path ?? "").replace(/^\.$/, ""),
    type: lastSegment(String(one?.type ?? "")),
  }));
}

/** The folders of a router's modules. */
function routedFolders(router: Step, contents: ReadonlyMap<string, Uint8Array>): string[] {
  const [file] = [routerFile, "config.json"].flatMap((name) => contents.get(placeIn(router.path, name)) ?? []);
  const { types } = (file === undefined ? {} : json(file)) as { types?: object };
  return Object.keys(types ?? {}).map((id) => placeIn(router.path, id));
}

const placeIn = (path: string, name: string): string => (path === "" ? name : `${path}/${name}`);

let count = 0;

/**
 * Loads an embedder from a URL, in a browser: the folder that `saveEmbedder` or sentence-transformers writes (or a plain
 * model with its tokenizer), as static files. `fetchWasm` comes first.
 *
 * @param folder the URL of the folder
 * @throws FETCH_FAILED, FILE_NOT_FOUND, and what `loadEmbedder` throws
 * @example
 * await fetchWasm(new URL("./", import.meta.url));
 * const embedder = await fetchEmbedder("/models/all-MiniLM-L6-v2");
 * const vectors = await embedder.embedAsync(["How are you?"]);
 */
export async function fetchEmbedder(
  folder: string | URL,
  { onProgress, ...options }: FetchEmbedderOptions = {},
): Promise<Embedder> {
  const base = new URL(
    String(folder).replace(/\/*$/, "/"),
    (globalThis as { location?: { href: string } }).location?.href,
  );
  const contents = new Map<string, Uint8Array>();
  const get = async (name: string): Promise<boolean> => {
    const bytes = await fetchFile(new URL(name, base), name, onProgress);
    if (bytes !== undefined) contents.set(name, bytes);
    return bytes !== undefined;
  };
  const missing = (name: string): ClozeError =>
    new ClozeError("FILE_NOT_FOUND", `${new URL(name, base)} does not exist`, {
      expected: [...required, weightsName].join(", "),
      remedy: "Give the URL of a folder that saveEmbedder or sentence-transformers wrote.",
    });
  await Promise.all([...required, ...besides].map(get));
  const modules = modulesIn(contents.get("modules.json"));
  const [first] = modules;
  const hasModel = first === undefined || first.type.endsWith("Transformer");
  if (hasModel) for (const name of required) if (!contents.has(name)) throw missing(name);
  const getAll = (path: string, names: readonly string[]) =>
    Promise.all(names.map((name) => placeIn(path, name)).map((name) => contents.has(name) || get(name)));
  for (const { path } of modules) if (path !== "") await getAll(path, ["config.json", weightsName]);
  if (!hasModel) await getAll(first.path, [weightsName, "tokenizer.json"]);
  for (const router of modules.filter(({ type }) => routerTypes.includes(type))) {
    await getAll(router.path, [routerFile]);
    for (const path of routedFolders(router, contents)) await getAll(path, ofRoutes);
  }
  if (hasModel && !(await get(weightsName))) {
    if (!(await get(indexName))) throw missing(weightsName);
    const { weight_map: shards = {} } = json(contents.get(indexName) as Uint8Array) as { weight_map?: object };
    for (const shard of new Set(Object.values(shards).map(String))) if (!(await get(shard))) throw missing(shard);
  }
  // Weights are copied into the backend's memory; the files are let go.
  const path = `/fetched/${++count}`;
  const files = holdFiles(path, contents);
  try {
    return loadEmbedder(path, options);
  } finally {
    files.release();
  }
}
