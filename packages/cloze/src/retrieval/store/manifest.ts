// What an index is made of: written in one step, so that it is always true.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { removeDrafts, writeFileAtomic } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";

/** 2: an index of token vectors, which a Cloze that knows version 1 alone would take for one of words. */
const formatVersions: readonly unknown[] = [1, 2];

const segmentSchema = z.object({
  name: z.string().regex(/^segment-\d{6}$/),
  /** Bytes of the log when it was closed for good; absent while it may grow. */
  bytes: z.number().int().nonnegative().optional(),
});

const manifestSchema = z.object({
  format: z.literal("cloze-index"),
  version: z.literal([1, 2]),
  /** The number of the next segment. */
  next: z.number().int().positive(),
  analyzer: z.object({ stemmer: z.enum(["none", "english"]), stopWords: z.enum(["none", "english"]) }),
  bm25: z.object({ k1: z.number().nonnegative(), b: z.number().min(0).max(1) }),
  /** Absent: there are no vectors. */
  vectors: z
    .object({
      width: z.number().int().positive(),
      storage: z.enum(["float32", "int8", "binary"]),
      /** What the model is called, for people. */
      model: z.string(),
      /** What tells one model from another. */
      fingerprint: z.string(),
    })
    .optional(),
  /** Absent: there are no weights of terms. */
  weights: z
    .object({
      model: z.string(),
      fingerprint: z.string(),
      /** What terms are: words, or (absent) numbers of the model's vocabulary. */
      terms: z.literal("words").optional(),
    })
    .optional(),
  /** Absent: there are no token vectors. */
  tokens: z
    .object({
      model: z.string(),
      fingerprint: z.string(),
      width: z.number().int().positive(),
      /** Of each dimension, behind the nearest centroid. */
      bits: z.literal([1, 2, 4, 8]),
      /** Hash of the codec; absent until one is learned from the first tokens. */
      codec: z.string().optional(),
    })
    .optional(),
  /** Oldest first. */
  segments: z.array(segmentSchema),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type VectorFacts = NonNullable<Manifest["vectors"]>;
export type WeightFacts = NonNullable<Manifest["weights"]>;
/** The model that made something of documents. */
export type ModelFacts = Pick<WeightFacts, "model" | "fingerprint">;
export type TokenFacts = Omit<NonNullable<Manifest["tokens"]>, "codec">;

export const manifestPath = (folder: string): string => join(folder, "index.json");

/** What the codes of tokens are read by. */
export const codecPath = (folder: string): string => join(folder, "tokens.codec");

export const hasIndex = (folder: string): boolean => existsSync(manifestPath(folder));

/**
 * Reads what an index is made of.
 *
 * @throws INDEX_MISSING, INDEX_VERSION for one of another version of Cloze, INDEX_FILE for one that cannot be read
 */
export function readManifest(folder: string): Manifest {
  const path = manifestPath(folder);
  if (!existsSync(path)) {
    throw new ClozeError("INDEX_MISSING", `There is no index in ${folder}`, {
      expected: "a folder that cloze index has made",
      received: existsSync(folder) ? "a folder without index.json" : "nothing",
      remedy: "Check the path, or make one: cloze index corpus.jsonl --out folder",
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ClozeError("INDEX_FILE", `${path} cannot be read as JSON`, {
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "The folder is damaged, or it is no index.",
      cause,
    });
  }
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (format === "cloze-index" && !formatVersions.includes(version)) {
    throw new ClozeError("INDEX_VERSION", `${folder} was written by another version of Cloze`, {
      expected: `an index of version ${formatVersions.join(" or ")}`,
      received: `version ${String(version)}`,
      remedy: "Index the documents again with this version.",
    });
  }
  const result = manifestSchema.safeParse(value);
  if (result.success) return result.data;
  throw new ClozeError("INDEX_FILE", `${path} is not what cloze index writes`, {
    received: z.prettifyError(result.error),
  });
}

/** Replaces it in one step. */
export const writeManifest = (folder: string, manifest: Manifest): void =>
  writeFileAtomic(manifestPath(folder), `${JSON.stringify(manifest, undefined, 2)}\n`);

/** @returns a name that no segment has had, and the manifest that knows it is taken */
export const nextSegment = (manifest: Manifest): { name: string; manifest: Manifest } => ({
  name: `segment-${String(manifest.next).padStart(6, "0")}`,
  manifest: { ...manifest, next: manifest.next + 1 },
});

/** Removes what no manifest names: a crash came before it was written, or after it was replaced. */
export function removeStrays(folder: string, manifest: Manifest): void {
  const known = new Set(manifest.segments.map(({ name }) => name));
  removeDrafts(folder);
  if (manifest.tokens?.codec === undefined) rmSync(codecPath(folder), { force: true });
  for (const file of readdirSync(folder)) {
    const name = /^(segment-\d{6})\.(log|vectors|index)$/.exec(file)?.[1];
    if (name !== undefined && !known.has(name)) rmSync(join(folder, file), { force: true });
  }
}
