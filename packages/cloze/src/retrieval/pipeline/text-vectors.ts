// What retrieval needs of an embedder: texts in, vectors out.

/** Turns texts into vectors; an Embedder's `embed` fits once its tensor is read out. */
export interface TextVectors {
  /** Length of a vector. */
  readonly width: number;
  /** @returns [texts, width], row by row */
  embed(texts: readonly string[], role: "query" | "document"): Float32Array | Promise<Float32Array>;
}
