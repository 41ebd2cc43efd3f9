// Kinds of first modules, by the name that sentence-transformers gives their class. A new one is a file and a line here; the
// first that describes an embedder is what it is saved as.
import type { InputModuleKind } from "./input-module.js";
import { staticEmbedding } from "./static-embedding.js";
import { transformer } from "./transformer.js";

export const inputModules: readonly InputModuleKind[] = [staticEmbedding, transformer];
