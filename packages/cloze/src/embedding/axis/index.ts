// Directions among sentence vectors, along which texts are scored.
export { answerBias } from "./answer-bias.js";
export { type Axis, type AxisParameters, createAxis, type PhraseForm, phraseForms, type ScoreOptions } from "./axis.js";
export { loadAxis, saveAxis } from "./axis-file.js";
export { type FitDirectionOptions, fitDirection } from "./fit-direction.js";
export {
  type AxisPreset,
  axisPreset,
  axisPresets,
  fitOptionsOf,
  moral,
  moralDirection,
  moralTemplates,
} from "./presets/index.js";
export { type PrincipalComponents, principalComponents } from "./principal-components.js";
export { type AnswerTemplate, fillTemplate } from "./templates.js";
export { wardClusters } from "./ward.js";
