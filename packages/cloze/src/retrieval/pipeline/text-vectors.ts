// What retrieval needs of an embedder: texts in, vectors out.

/** Turns texts into vectors; an Embedder's `embed` fits once its tensor is read out. */
export interface TextVectors {
  /** Length of a vector. */
  readonly width: number;
  /** @returns [texts, width], row by row */
  embed(texts: readonly string[], role: "query" | "document"): Float32Array | Promise<Float32Array>;
}

/** Turns each text into a vector of its own kind: weighted terms (SparseEncoder), the vectors of its tokens (TokenEncoder). */
export interface TextEncoder<Vector> {
  encode(texts: readonly string[], options: { role: "query" | "document" }): Vector[];
}
