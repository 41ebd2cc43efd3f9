export { architectureOf, architectures, type HeadFields } from "./architectures.js";
export { descriptionOf } from "./config-description.js";
export type { ConfigJson, Family, NameMap } from "./family.js";
export { type LoadModelOptions, loadModel, saveConfig, saveModel } from "./io.js";
export {
  assembleModel,
  type CreateModelOptions,
  createModel,
  type Model,
  type ModelOptions,
  type ModelOutput,
} from "./model.js";
export { families, familyOf } from "./registry.js";
export { toFile } from "./weights.js";
