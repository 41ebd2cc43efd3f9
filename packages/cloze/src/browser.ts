// What a page gets: `npm run build:page` makes one file of it, without Node's modules.
export { backend, fetchWasm, memory, scope, type Tensor } from "@cloze/tensor";
export type { Embedder, EmbedOptions } from "./embedding/embedder.js";
export { type FetchEmbedderOptions, type FetchProgress, fetchEmbedder } from "./embedding/fetch-embedder.js";
export { ClozeError } from "./errors.js";
export { createExactIndex, type ExactIndex } from "./retrieval/exact.js";
