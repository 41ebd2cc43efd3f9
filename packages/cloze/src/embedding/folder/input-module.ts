// What stands first in an embedder's folder.
import type { Model } from "../../families/index.js";
import type { Tokenizer } from "../../text/index.js";
import type { BagOfWords } from "../bag-of-words.js";
import type { Embedder, EmbedderOptions } from "../embedder.js";

/** A model, its tokenizer, and how it reads texts. */
export interface InputParts {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Where its words are counted. */
  readonly bag?: BagOfWords;
  readonly reading: Pick<EmbedderOptions, "maxLength" | "lowerCase" | "specialTokens">;
}

/** A kind of first module, as sentence-transformers names its class. */
export interface InputModuleKind {
  readonly type: string;
  /** The path of its class, without the name of the package. */
  readonly path: string;
  /** It gives vectors of texts: no pooling may stand behind it. */
  readonly pooled: boolean;
  load(folder: string): InputParts;
  /** Whether this kind describes an embedder's model and how it reads texts. */
  describes(embedder: Embedder): boolean;
  /** Writes into a folder that exists. */
  save(embedder: Embedder, folder: string): void;
}
