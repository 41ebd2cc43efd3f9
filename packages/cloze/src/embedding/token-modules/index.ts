// Modules between the encoder and the pooling, by the name that sentence-transformers gives their class. A new one is a file and
// a line here.
import { cnnModule } from "./cnn.js";
import { lstmModule } from "./lstm.js";
import type { TokenModuleKind } from "./token-module.js";
import { wordWeightsModule } from "./word-weights.js";

export const tokenModules: readonly TokenModuleKind[] = [lstmModule, cnnModule, wordWeightsModule];

export type { TokenModule, TokenModuleKind } from "./token-module.js";
