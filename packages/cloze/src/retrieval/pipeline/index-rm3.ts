// BM25 with RM3 over an index on disk.
import { embeddedStore } from "../document-store.js";
import type { SearchIndex } from "../store/contract.js";
import { searchTwice } from "./feedback/feedback-expansion.js";
import { rm3Expansion } from "./feedback/rm3.js";
import type { Retriever } from "./retriever.js";
import type { Rm3Options } from "./rm3.js";
import { storeWordIndex } from "./word-index.js";

/** Searches twice: once to find terms, once with them. */
export const indexRm3 = (index: SearchIndex, options: Rm3Options = {}): Retriever =>
  searchTwice(storeWordIndex(embeddedStore(index)), rm3Expansion(options));
