// Modules behind the pooling, by the name that sentence-transformers gives their class. A new one is a file and a line here.
import { dense } from "./dense.js";
import { dropout } from "./dropout.js";
import { layerNormModule } from "./layer-norm.js";
import type { EmbedderModuleKind } from "./module.js";
import { normalize } from "./normalize.js";

export const embedderModules: readonly EmbedderModuleKind[] = [dense, normalize, layerNormModule, dropout];

export { createDense, createSlice, type DenseActivation, type DenseOptions } from "./dense.js";
export type { EmbedderModule, EmbedderModuleKind } from "./module.js";
export { createNormalize } from "./normalize.js";
