// What a model is asked to predict without labels: one line for each objective.
import type { z } from "zod";
import type { EncoderConfig } from "../encoder/config.js";
import { type ConfigInputOf, type ConfigOf, parseConfig, registrySchema } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import type { HeadConfig } from "../heads/index.js";
import { maskedLanguage } from "./masked-language.js";
import { cannotCombine, type Objective, type ObjectiveFrame, type ObjectivePart } from "./objective.js";

export type { LossContext, Objective, ObjectiveFrame, ObjectivePart, ObjectiveVocabulary } from "./objective.js";

const parts = {
  "masked-language": maskedLanguage,
};

export type ObjectiveConfig = ConfigOf<typeof parts>;
export type ObjectiveConfigInput = ConfigInputOf<typeof parts>;

/** Every objective by its type. */
export const objectives: Readonly<Record<string, ObjectivePart>> = parts as Readonly<
  Record<string, unknown>
> as Readonly<Record<string, ObjectivePart>>;

const schema = registrySchema("objective", parts);

/** The type that a name means: itself, or what it is short for. @throws OBJECTIVE_UNKNOWN */
export function objectiveType(name: string): string {
  if (Object.hasOwn(objectives, name)) return name;
  const found = Object.keys(objectives).find((type) => objectives[type].aliases?.includes(name));
  if (found !== undefined) return found;
  throw new ClozeError("OBJECTIVE_UNKNOWN", "Cloze does not know this objective", {
    expected: Object.keys(objectives)
      .map((type) => [type, ...(objectives[type].aliases ?? [])].join(" or "))
      .join(", "),
    received: name,
  });
}

/**
 * Checks an objective's options and fills in defaults; `type` may be a short name.
 *
 * @throws OBJECTIVE_UNKNOWN, OBJECTIVE_OPTIONS naming the option
 */
export function parseObjective(input: { readonly type: string; readonly [option: string]: unknown }): ObjectiveConfig {
  return parseConfig(
    schema,
    { ...input, type: objectiveType(input.type) },
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
  if (part.input === "sequences" && encoder.vocabularySize === 0) {
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
