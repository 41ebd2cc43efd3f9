// The embedded index: one folder. Documents are acknowledged when they are on the disk; a process that is killed leaves an
// index that opens with every acknowledged document, each once.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { createWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import { atOnce, inSlices } from "../../text/steps.js";
import type { TermWeights } from "../learned-sparse/term-weights.js";
import { createAnalyzer } from "../lexical/analyzer.js";
import { countTerms, type WeightedTerms } from "../lexical/bm25-formula.js";
import type { IndexSearchOptions, SearchIndex } from "./contract.js";
import { type EncodedDocuments, type IndexedDocument, searchedText } from "./document.js";
import { type IndexSettings, newManifest } from "./index-settings.js";
import type { LiveSegments } from "./live-segments.js";
import { hasIndex, type Manifest, nextSegment, readManifest, removeStrays, writeManifest } from "./manifest.js";
import { checkFingerprint } from "./model-fingerprint.js";
import { rewriteSegments } from "./rewrite-segments.js";
import {
  type ActiveSegment,
  derivedPath,
  logPath,
  openByLog,
  openSealed,
  type Segment,
  type SegmentSettings,
  vectorPath,
} from "./segment.js";
import { tokenBytesOf } from "./token-codes.js";
import { createTokenKeeper } from "./token-keeper.js";
import { checkTokens, noTokens, searchTokens } from "./token-search.js";
import { vectorCodec } from "./vector-codec.js";
import { checkVectors, noVectors, searchVectors, searchVectorsAsync } from "./vector-search.js";
import { checkKind, encodeWeights, noWeights, searchWeights } from "./weight-search.js";
import { createWordSearch } from "./word-search.js";
import { isLocked, lockFolder } from "./write-lock.js";

export interface OpenIndexOptions {
  /** Take the lock, cut off what a crash left, and allow changes. Default false: read only. */
  write?: boolean;
  /** Make the index with these settings where there is none. */
  create?: IndexSettings;
  /** The fingerprint of the model at hand: another one than the index's is refused. */
  fingerprint?: string;
  /** Documents after which a segment is closed. Default 200,000. */
  segmentSize?: number;
}

const span = 2 ** 32;
const usualSegmentSize = 200_000;
/** A segment with fewer documents stays open for more, rather than leave many small ones behind. */
const smallestSealed = 1000;
const mostSegments = 64;

const damaged = "segments that were cut off, by a crash say; what was whole before the cut is there";

/**
 * Opens an index, or makes one.
 *
 * @throws INDEX_MISSING, INDEX_VERSION, INDEX_FILE, INDEX_MODEL, INDEX_LOCKED; INDEX_CODEC where what token vectors are read by
 * is missing or damaged
 * @example
 * const index = openIndex("folder", { write: true, create: {} });
 * index.add([{ id: "1", text: "a small cat" }]);
 * const [best] = index.searchWords("cat", { depth: 10 });
 */
export function openIndex(folder: string, options: OpenIndexOptions = {}): SearchIndex {
  const { write = false, create, segmentSize = usualSegmentSize } = options;
  let unlock = () => {};
  if (write) {
    if (create !== undefined) mkdirSync(folder, { recursive: true });
    else if (!hasIndex(folder)) readManifest(folder);
    unlock = lockFolder(folder);
  }
  try {
    if (write && create !== undefined && !hasIndex(folder)) writeManifest(folder, newManifest(create));
    return openLocked(folder, { write, segmentSize, fingerprint: options.fingerprint, unlock });
  } catch (error) {
    unlock();
    throw error;
  }
}

interface Locked {
  readonly write: boolean;
  readonly segmentSize: number;
  readonly fingerprint?: string;
  readonly unlock: () => void;
}

function openLocked(folder: string, { write, segmentSize, fingerprint, unlock }: Locked): SearchIndex {
  let manifest = readManifest(folder);
  const { vectors, weights, tokens } = manifest;
  checkFingerprint(folder, [vectors, weights, tokens], fingerprint);
  const codec = vectors === undefined ? undefined : vectorCodec(vectors.storage, vectors.width);
  const settings: SegmentSettings = {
    analyze: createAnalyzer(manifest.analyzer),
    codec,
    tokenBytes: tokens === undefined ? 0 : tokenBytesOf(tokens),
  };
  const termKind = weights?.terms ?? "numbers";
  const warnings = createWarnings();
  const keeper = tokens === undefined ? undefined : createTokenKeeper(folder, tokens, warnings);
  let segments: Segment[] = [];
  let active: ActiveSegment | undefined;
  let places = new Map<string, number>();
  let deadDocuments = 0;
  let readAgain = false;

  const kill = (place: number) => {
    segments[Math.floor(place / span)].kill(place % span);
    deadDocuments++;
  };
  const place = (id: string, segment: number, document: number) => {
    const before = places.get(id);
    if (before !== undefined) kill(before);
    places.set(id, segment * span + document);
  };
  const unplace = (id: string): boolean => {
    const before = places.get(id);
    if (before === undefined) return false;
    kill(before);
    places.delete(id);
    return true;
  };
  const openOne = ({ name, bytes }: Manifest["segments"][number], last: boolean): Segment | undefined => {
    if (!existsSync(logPath(folder, name))) {
      // A log is made before the manifest names it. A compaction may have taken it away: the manifest is read again.
      if (!write && !readAgain) throw Object.assign(new Error(`${name} is not there`), { code: "ENOENT" });
      warnings.add("INDEX_SEGMENT_MISSING", "segments that are not there", name);
      if (!write || !last || bytes !== undefined) return undefined;
    }
    const growing = bytes === undefined && last && write;
    const sealed = bytes === undefined ? undefined : openSealed(folder, name, bytes, settings);
    if (sealed !== undefined) return sealed;
    const opened = openByLog(folder, name, settings, growing);
    if (growing) active = opened;
    // What a writer is adding now may be half there.
    if (bytes === undefined && opened.cut && (write || !isLocked(folder)))
      warnings.add("INDEX_SEGMENT_CUT", damaged, name);
    if (bytes !== undefined) {
      if (opened.bytes < bytes) warnings.add("INDEX_SEGMENT_CUT", damaged, name);
      if (write) opened.seal();
    }
    return opened;
  };
  const load = () => {
    for (const segment of segments) segment.close();
    segments = [];
    active = undefined;
    places = new Map();
    deadDocuments = 0;
    const known = manifest.segments;
    keeper?.open(manifest.tokens?.codec);
    for (const [i, entry] of known.entries()) {
      const segment = openOne(entry, i === known.length - 1);
      if (segment === undefined) continue;
      const number = segments.push(segment) - 1;
      let deletion = 0;
      const { deletions, size } = segment;
      for (let document = 0; document <= size; document++) {
        for (; deletion < deletions.length && deletions[deletion].after === document; deletion++)
          unplace(deletions[deletion].id);
        if (document < size) place(segment.idOf(document), number, document);
      }
    }
    keeper?.check(segments);
  };
  if (write) removeStrays(folder, manifest);
  try {
    load();
  } catch (error) {
    // A reader may come between a compaction's manifest and the removal of the files before it, or read the manifest just
    // before the first tokens came.
    const late = ["ENOENT", "INDEX_CODEC"].includes((error as NodeJS.ErrnoException).code ?? "");
    if (write || !late) throw error;
    manifest = readManifest(folder);
    readAgain = true;
    load();
  }

  const writable = () => {
    if (write) return;
    throw new ClozeError("INDEX_READ_ONLY", `${folder} was opened for reading`, {
      expected: "openIndex(folder, { write: true })",
      received: "a reader",
    });
  };
  const grow = (): ActiveSegment => {
    if (active !== undefined) return active;
    const next = nextSegment(manifest);
    active = openByLog(folder, next.name, settings, true);
    segments.push(active);
    manifest = { ...next.manifest, segments: [...next.manifest.segments, { name: next.name }] };
    writeManifest(folder, manifest);
    return active;
  };
  const seal = () => {
    if (active === undefined) return;
    active.seal();
    const { name, bytes } = active;
    manifest = {
      ...manifest,
      segments: manifest.segments.map((segment) => (segment.name === name ? { name, bytes } : segment)),
    };
    writeManifest(folder, manifest);
    // From here on it is read from the derived file; the postings in memory go.
    const sealed = openSealed(folder, name, bytes, settings);
    if (sealed !== undefined) {
      const at = segments.indexOf(active);
      for (let document = 0; document < sealed.size; document++) if (active.dead[document] !== 0) sealed.kill(document);
      active.close();
      segments[at] = sealed;
    }
    active = undefined;
  };
  /** The codes of tokens. What they are read by is on the disk, and named, before they are. */
  const encodeTokens = (documents: readonly IndexedDocument[], rows: EncodedDocuments["tokens"]) => {
    if (tokens === undefined || keeper === undefined) return undefined;
    const checked = checkTokens(documents, rows, tokens);
    keeper.learn(checked, (codec) => {
      const next = { ...manifest, tokens: { ...tokens, codec } };
      writeManifest(folder, next);
      manifest = next;
    });
    return keeper.encode(checked);
  };
  /** Writes, and where that fails goes back to what is on the disk. */
  const commit = (segment: ActiveSegment) => {
    try {
      segment.sync();
    } catch (error) {
      load();
      throw error;
    }
  };
  const live: LiveSegments = {
    get segments() {
      return segments;
    },
    get size() {
      return places.size;
    },
    get deadDocuments() {
      return deadDocuments;
    },
  };
  const words = createWordSearch(live, manifest.bm25);

  const termsOf = (query: string | WeightedTerms) =>
    typeof query === "string" ? countTerms(settings.analyze(query)) : query;
  const weightSteps = (queries: readonly TermWeights[], options: IndexSearchOptions) => {
    if (weights === undefined) throw noWeights(folder);
    for (const query of queries) checkKind(query, termKind);
    return queries.map((query) => searchWeights(live, query, options));
  };
  const index: SearchIndex = {
    folder,
    settings: manifest,
    warnings,
    get size() {
      return places.size;
    },
    get segments() {
      return segments.length;
    },
    has: (id) => places.has(id),
    get(id) {
      const at = places.get(id);
      return at === undefined ? undefined : segments[Math.floor(at / span)].read(at % span).document;
    },
    add(documents, encoded = {}) {
      writable();
      if (documents.length === 0) return;
      const { vectors: rows } = encoded;
      if (codec !== undefined) checkVectors(documents, rows, codec, warnings);
      const codes = weights === undefined ? undefined : encodeWeights(documents, encoded.weights, warnings, termKind);
      const tokenCodes = encodeTokens(documents, encoded.tokens);
      const segment = grow();
      const first = segment.size;
      const width = codec?.width ?? 0;
      for (const [i, document] of documents.entries()) {
        if (searchedText(document).trim() === "")
          warnings.add("INDEX_TEXT_EMPTY", "documents without a text", document.id);
        segment.put(document, {
          vector: rows?.subarray(i * width, (i + 1) * width),
          weights: codes?.[i],
          tokens: tokenCodes?.[i],
        });
      }
      commit(segment);
      const number = segments.indexOf(segment);
      documents.forEach(({ id }, i) => {
        place(id, number, first + i);
      });
      keeper?.check(segments);
      if (segment.size >= segmentSize) seal();
      if (segments.length > mostSegments) index.compact();
    },
    remove(ids) {
      writable();
      const there = [...new Set(ids)].filter((id) => places.has(id));
      if (there.length === 0) return 0;
      const segment = grow();
      for (const id of there) segment.remove(id);
      commit(segment);
      for (const id of there) unplace(id);
      return there.length;
    },
    terms: (text) => settings.analyze(text),
    frequency: (term) => words.frequency(term),
    searchWords: (query, options) => atOnce(words.search(termsOf(query), options)),
    searchWordsAsync: async (query, options) => inSlices(words.search(termsOf(query), options)),
    searchVectors: (queries, options) => searchVectors(live, codec ?? noVectors(folder), queries, options),
    searchVectorsAsync: async (queries, options) =>
      searchVectorsAsync(live, codec ?? noVectors(folder), queries, options),
    searchWeights: (queries, options) => weightSteps(queries, options).map((steps) => atOnce(steps)),
    searchWeightsAsync: async (query, options) => inSlices(weightSteps([query], options)[0]),
    searchTokens(queries, options) {
      if (tokens === undefined) throw noTokens(folder);
      return searchTokens(live, keeper?.codec, tokens, queries, options);
    },
    *documents() {
      for (const segment of segments)
        for (let document = 0; document < segment.size; document++)
          if (segment.dead[document] === 0) yield segment.read(document).document;
    },
    compact() {
      writable();
      seal();
      if (deadDocuments === 0 && segments.length <= 1 && segments.every(({ deletions }) => deletions.length === 0))
        return;
      const old = manifest.segments;
      manifest = rewriteSegments(folder, segments, manifest, settings, segmentSize);
      writeManifest(folder, manifest);
      load();
      for (const { name } of old)
        for (const path of [logPath(folder, name), vectorPath(folder, name), derivedPath(folder, name)])
          rmSync(path, { force: true });
    },
    close() {
      try {
        if (write && active !== undefined && active.size >= smallestSealed) seal();
      } finally {
        for (const segment of segments) segment.close();
        segments = [];
        unlock();
      }
    },
  };
  return index;
}
