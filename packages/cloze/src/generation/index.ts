// Texts from decoders.

export type { GenerationState } from "./filters/index.js";
export { createFilter, type TokenFilter, type TokenFilterConfig, tokenFilters } from "./filters/index.js";
export {
  type GeneratedText,
  type GenerateOptions,
  type GenerateTextsOptions,
  generate,
  generateTexts,
} from "./generate.js";
export type { Candidates, SamplerOptions } from "./sampler.js";
