// What a model is asked to predict without labels: one line for each objective.
import type { z } from "zod";
import type { EncoderConfig } from "../encoder/config.js";
import { type ConfigInputOf, type ConfigOf, parseConfig, registrySchema } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import type { HeadConfig } from "../heads/index.js";
import { causalLanguage } from "./causal-language.js";
import { enhancedDecoder } from "./enhanced-decoder.js";
import { jointCandidates } from "./joint-candidates.js";
import { maskedBlocks } from "./masked-blocks.js";
import { maskedLanguage } from "./masked-language.js";
import { maskedPairs } from "./masked-pairs.js";
import { ngramLanguage } from "./ngram-language.js";
import { cannotCombine, type Objective, type ObjectiveFrame, type ObjectivePart } from "./objective.js";
import { paragraphStructure } from "./paragraph-structure.js";
import { positionPrediction } from "./position-prediction.js";
import { clusteredTokenSubstitution, randomTokenSubstitution } from "./random-token-substitution.js";
import { allTokensLanguage, replacedLanguage } from "./replaced-language.js";
import { replacedTokenDetection } from "./replaced-token-detection.js";
import { representativeWords } from "./representative-words.js";
import { retrievalPairs } from "./retrieval-pairs.js";

export type { LossContext, Objective, ObjectiveFrame, ObjectivePart, ObjectiveVocabulary } from "./objective.js";
export { noVocabulary } from "./objective.js";

const parts = {
  "masked-language": maskedLanguage,
  "causal-language": causalLanguage,
  "enhanced-decoder": enhancedDecoder,
  "masked-pairs": maskedPairs,
  "replaced-token-detection": replacedTokenDetection,
  "replaced-language": replacedLanguage,
  "all-tokens-language": allTokensLanguage,
  "random-token-substitution": randomTokenSubstitution,
  "clustered-token-substitution": clusteredTokenSubstitution,
  "paragraph-structure": paragraphStructure,
  "joint-candidates": jointCandidates,
  "retrieval-pairs": retrievalPairs,
  "ngram-language": ngramLanguage,
  "masked-blocks": maskedBlocks,
  "representative-words": representativeWords,
  "position-prediction": positionPrediction,
};

export type ObjectiveConfig = ConfigOf<typeof parts>;
export type ObjectiveConfigInput = ConfigInputOf<typeof parts>;

/** Every objective by its type. */
export const objectives: Readonly<Record<string, ObjectivePart>> = parts as Readonly<
  Record<string, unknown>
> as Readonly<Record<string, ObjectivePart>>;

const schema = registrySchema("objective", parts);

/** All names of a type: its own first. */
export const objectiveNames = (type: string): string[] => [type, ...Object.keys(objectives[type].aliases ?? {})];

/** The type that a name means, and the options that it stands for. @throws OBJECTIVE_UNKNOWN */
function resolve(name: string): { type: string; [option: string]: unknown } {
  const type = Object.keys(objectives).find((known) => objectiveNames(known).includes(name));
  if (type !== undefined) return { ...objectives[type].aliases?.[name], type };
  throw new ClozeError("OBJECTIVE_UNKNOWN", "Cloze does not know this objective", {
    expected: Object.keys(objectives)
      .map((known) => objectiveNames(known).join(" or "))
      .join(", "),
    received: name,
  });
}

/**
 * Checks an objective's options and fills in defaults; `type` may be one of its other names.
 *
 * @throws OBJECTIVE_UNKNOWN, OBJECTIVE_OPTIONS naming the option
 */
export function parseObjective(input: { readonly type: string; readonly [option: string]: unknown }): ObjectiveConfig {
  const resolved = resolve(input.type);
  return parseConfig(
    schema,
    { ...resolved, ...input, type: resolved.type },
    `The objective "${input.type}"`,
    "OBJECTIVE_OPTIONS",
  );
}

/** The part of a configuration. */
export const objectivePart = ({ type }: ObjectiveConfig): ObjectivePart => objectives[type];

/**
 * Refuses an objective that cannot train such a model, before anything is computed.
 *
 * @throws OBJECTIVE_COMBINATION, HEAD_MISMATCH
 */
export function checkObjective(config: ObjectiveConfig, encoder: EncoderConfig, head: HeadConfig): void {
  const part = objectivePart(config);
  if (!part.heads.includes(head.type)) {
    throw new ClozeError("HEAD_MISMATCH", `The objective "${config.type}" does not train this model's head`, {
      expected: part.heads.join(" or "),
      received: head.type,
      remedy: `Make or load the model as ${part.architecture}.`,
    });
  }
  if (part.input === "sequences" && part.wordless !== true && encoder.vocabularySize === 0) {
    throw cannotCombine(`The objective "${config.type}" reads tokens, but the encoder reads none`, {
      expected: "a vocabulary",
      received: "vocabularySize 0",
    });
  }
  (part as ObjectivePart<z.ZodType<ObjectiveConfig>>).check?.(config, encoder);
}

/**
 * Makes an objective for a model. Dispose it after the run.
 *
 * @throws what `checkObjective` throws
 */
export function createObjective(config: ObjectiveConfig, frame: ObjectiveFrame): Objective {
  checkObjective(config, frame.model.encoder.config, frame.model.head.config);
  return (objectivePart(config) as ObjectivePart<z.ZodType<ObjectiveConfig>>).create(config, frame);
}

/** The options of each objective with what they mean, for help. */
export const objectiveOptions = (): { type: string; option: string; description: string }[] =>
  Object.entries(objectives).flatMap(([type, { schema: own }]) =>
    Object.entries((own as z.ZodObject).shape as Record<string, z.ZodType>)
      .filter(([option]) => option !== "type")
      .map(([option, { description = "" }]) => ({ type, option, description })),
  );
