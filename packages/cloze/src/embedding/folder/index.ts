// Kinds of first modules, by the name that sentence-transformers gives their class. A new one is a file and a line here; the
// first that describes an embedder is what it is saved as.
import { bagOfWords } from "./bag-of-words.js";
import type { InputModuleKind } from "./input-module.js";
import { staticEmbedding } from "./static-embedding.js";
import { transformer } from "./transformer.js";
import { wordEmbeddings } from "./word-embeddings.js";

export const inputModules: readonly InputModuleKind[] = [bagOfWords, staticEmbedding, wordEmbeddings, transformer];
