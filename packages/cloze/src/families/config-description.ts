// What config.json says of a model: its encoder and its head, both ways, through the families of model types.
import { z } from "zod";
import { type EncoderConfig, type EncoderConfigInput, parseEncoderConfig } from "../encoder/config.js";
import { parseConfig } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import { type HeadConfig, parseHeadConfig } from "../heads/index.js";
import { architectureOfHead, type HeadFields, headOf } from "./architectures.js";
import { cloze } from "./cloze.js";
import type { ConfigJson, Family } from "./family.js";
import { defaultNames } from "./labels.js";
import type { Model } from "./model.js";
import { families } from "./registry.js";

/** The class that a config.json names; a bare encoder when it names none. */
function classNameOf(json: ConfigJson, { classPrefix }: Family): string {
  const named: unknown = Array.isArray(json.architectures) ? json.architectures[0] : undefined;
  return typeof named === "string" ? named : `${classPrefix}Model`;
}

/** What the config says for a head, with what the caller says instead. */
function mergeFields(fromConfig: HeadFields, given: HeadFields): HeadFields {
  const merged: HeadFields = {
    ...fromConfig,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
  // Names belong to the number of labels that they were given with.
  const namesFit = given.names !== undefined || given.labels === undefined || given.labels === merged.names?.length;
  // A dropout that the caller gives is meant for whichever head there is.
  const dropouts =
    given.dropout === undefined
      ? {}
      : {
          tokenDropout: given.dropout,
          choiceDropout: given.dropout,
          answerDropout: given.answerDropout ?? given.dropout,
        };
  return {
    ...merged,
    ...dropouts,
    names: namesFit ? merged.names : undefined,
    labels: given.labels ?? given.names?.length ?? merged.labels,
  };
}

/** What a folder's config.json says: the encoder, and the head of the wanted class. */
export function readDescription(
  json: ConfigJson,
  family: Family,
  { architecture, ...given }: HeadFields & { architecture?: string },
) {
  const { encoder, head, ownHead } = family.readConfig(json);
  const named = architecture ?? classNameOf(json, family);
  const own = architecture === undefined && Object.keys(given).length === 0 ? ownHead : undefined;
  return {
    config: parseEncoderConfig(withTraining(encoder, json)),
    head: parseHeadConfig(own ?? headOf(named, mergeFields(head, given), family)),
  };
}

/** Fields of the encoder that change how it is trained, not what it computes; they stand under "cloze" for every family. */
function trainingFields({ embeddings, residualInit }: EncoderConfig): ConfigJson {
  return {
    ...("sparse" in embeddings && embeddings.sparse ? { sparse: true } : {}),
    ...(residualInit === "zero" ? { residualInit } : {}),
  };
}

const trainingSchema = z.looseObject({
  cloze: z
    .looseObject({ sparse: z.boolean().optional(), residualInit: z.enum(["normal", "zero"]).optional() })
    .optional(),
});

/** Undoes `trainingFields`. */
function withTraining(encoder: EncoderConfigInput, json: ConfigJson): EncoderConfigInput {
  const { sparse, residualInit } = parseConfig(trainingSchema, json, "config.json").cloze ?? {};
  return {
    ...encoder,
    ...(sparse === undefined
      ? {}
      : { embeddings: { ...encoder.embeddings, sparse } as EncoderConfigInput["embeddings"] }),
    ...(residualInit === undefined ? {} : { residualInit }),
  };
}

/** JSON with sorted keys, without what says nothing: dense weights, sizes that follow. */
function canonical({ hiddenSize }: EncoderConfig, value: unknown): string {
  const plain = (item: unknown): unknown => {
    if (Array.isArray(item)) return item.map(plain);
    if (typeof item !== "object" || item === null) return item;
    const entries = Object.entries(item)
      .filter(([key, inner]) => {
        if (inner === undefined) return false;
        if (key === "headSize" && "heads" in item) return Number(inner) * Number(item.heads) !== hiddenSize;
        // Of embeddings and poolers, whose width is the hidden size where they say nothing.
        if (key === "size") return inner !== hiddenSize;
        if (key !== "weights") return true;
        return Object.values(inner as Record<string, { type: string } | undefined>).some(
          (w) => w && w.type !== "dense",
        );
      })
      .map(([key, inner]) => [key, plain(inner)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  return JSON.stringify(plain(value));
}

/** The fields with which a family describes a model, or undefined where reading them does not give the model again. */
function describe(family: Family, config: EncoderConfig, head: HeadConfig): ConfigJson | undefined {
  const written = family.writeConfig(config, head);
  if (written === undefined || family === cloze) return written;
  const own = trainingFields(config);
  const json: ConfigJson = {
    ...written,
    model_type: family.modelType,
    architectures: [`${family.classPrefix}${architectureOfHead(head, family)}`],
    ...(Object.keys(own).length > 0 ? { cloze: { ...(written.cloze as ConfigJson | undefined), ...own } } : {}),
  };
  // Not every model type has a place for the dropout of every head; a model that only lacks it is still that model.
  const comparable = (described: HeadConfig) => ({
    ...described,
    ...("labels" in described ? { names: described.names ?? defaultNames(described.labels) } : {}),
    ...("dropout" in described ? { dropout: 0 } : {}),
    ...("nextSentenceDropout" in described ? { nextSentenceDropout: 0 } : {}),
    ...("pooler" in described && described.pooler !== null ? { pooler: { ...described.pooler, dropout: 0 } } : {}),
  });
  try {
    const again = readDescription(json, family, {});
    const same =
      canonical(config, again.config) === canonical(config, config) &&
      // A head without parameters is read as a pooler; the file then shows that there is none.
      (head.type === "none" || canonical(config, comparable(again.head)) === canonical(config, comparable(head)));
    family.names(config, head, json);
    return same ? json : undefined;
  } catch (error) {
    if (error instanceof ClozeError) return undefined;
    throw error;
  }
}

/** What stands under "cloze" besides what the families write there themselves. */
function keptCloze(source: ConfigJson): ConfigJson {
  const own: unknown = source.cloze;
  if (typeof own !== "object" || own === null) return {};
  const written = ["version", "encoder", "head", "sparse", "residualInit", "rotaryRounding"];
  return Object.fromEntries(Object.entries(own).filter(([key]) => !written.includes(key)));
}

/** The fields of a config.json in the words of its source, where they say the same: "gelu_python", 224 or [224, 224]. */
function inWordsOf(
  source: ConfigJson,
  all: ConfigJson,
  written: ConfigJson,
  family: Family,
  config: EncoderConfig,
): ConfigJson {
  const meaning = (json: ConfigJson): string | undefined => {
    try {
      const described = readDescription(json, family, {});
      return canonical(config, [described.config, described.head]);
    } catch (error) {
      if (error instanceof ClozeError) return undefined;
      throw error;
    }
  };
  const expected = meaning(all);
  // Nothing reads label2id, so it would always say the same.
  const other = Object.keys(written).filter(
    (key) =>
      key in source &&
      !["label2id", "cloze"].includes(key) &&
      JSON.stringify(source[key]) !== JSON.stringify(written[key]),
  );
  // Fields may mean something together only (heads and their ratio), so first all at once.
  let json = all;
  const together = { ...all, ...Object.fromEntries(other.map((key) => [key, source[key]])) };
  if (meaning(together) === expected) return together;
  for (const key of other) {
    const candidate = { ...json, [key]: source[key] };
    if (meaning(candidate) === expected) json = candidate;
  }
  return json;
}

/** The config.json of a model, from the fields with which its family describes it and those of its source. */
export function configOf(model: Model, family: Family, written: ConfigJson): ConfigJson {
  const source: ConfigJson = model.source ?? {};
  // Fields of another model type would lie; those that no family looks after stay.
  const foreign = new Set(
    families
      .filter(({ modelType }) => modelType === source.model_type && modelType !== family.modelType)
      .flatMap(({ fields }) => fields),
  );
  const kept = Object.fromEntries(Object.entries(source).filter(([key]) => !foreign.has(key)));
  const own = { ...keptCloze(source), ...(written.cloze as ConfigJson | undefined) };
  const all: ConfigJson = {
    ...kept,
    ...written,
    architectures: [`${family.classPrefix}${architectureOfHead(model.head.config, family)}`],
    model_type: family.modelType,
    ["torch_dtype" in kept ? "torch_dtype" : "dtype"]: "float32",
    cloze: own,
  };
  const same = family.modelType === source.model_type && family !== cloze;
  const fields = same ? inWordsOf(source, all, written, family, model.config) : all;
  const entries = Object.entries(fields).filter(([key]) => key !== "cloze" || Object.keys(own).length > 0);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The family that a model is saved as (that of its source where it can), and the fields with which it describes it. */
export function descriptionOf(
  config: EncoderConfig,
  head: HeadConfig,
  source: ConfigJson = {},
): { family: Family; written: ConfigJson } {
  const preferred = families.filter(({ modelType }) => modelType === source.model_type);
  for (const family of [...preferred, ...families]) {
    const written = describe(family, config, head);
    if (written !== undefined) return { family, written };
  }
  throw new ClozeError("INTERNAL", "No family could write this model");
}
