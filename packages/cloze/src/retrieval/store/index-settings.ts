// How an index is made.
import type { AnalyzerOptions } from "../lexical/analyzer.js";
import type { Bm25Parameters } from "../lexical/bm25-formula.js";
import type { Manifest, TokenFacts, VectorFacts, WeightFacts } from "./manifest.js";

/** How a new index reads texts and keeps vectors. */
export interface IndexSettings {
  analyzer?: AnalyzerOptions;
  bm25?: Bm25Parameters;
  /** Absent: words only. */
  vectors?: VectorFacts;
  /** Absent: no learned weights of terms. */
  weights?: WeightFacts;
  /** Absent: no token vectors. */
  tokens?: TokenFacts;
}

/** Settings with every default filled in. */
export const fillSettings = ({ analyzer = {}, bm25 = {}, vectors, weights, tokens }: IndexSettings) => ({
  analyzer: { stemmer: analyzer.stemmer ?? "none", stopWords: analyzer.stopWords ?? "none" },
  bm25: { k1: bm25.k1 ?? 1.2, b: bm25.b ?? 0.75 },
  ...(vectors !== undefined && { vectors }),
  ...(weights !== undefined && { weights }),
  ...(tokens !== undefined && { tokens }),
});

/** What an index without documents is made of. */
export const newManifest = (settings: IndexSettings): Manifest => ({
  format: "cloze-index",
  version: settings.tokens === undefined ? 1 : 2,
  next: 1,
  ...fillSettings(settings),
  segments: [],
});
