// From rules such as "layers.{i}.mixer.output" -> "encoder.layer.{i}.attention.output.dense" to the names of all parameters.
import type { EncoderConfig } from "../encoder/config.js";
import { encoderSpecs } from "../encoder/encoder.js";
import { ClozeError } from "../errors.js";
import { type HeadConfig, headSpecs } from "../heads/index.js";
import type { NameMap, StoredParameter } from "./family.js";
import { type StoredLayout, stacked } from "./stored-layout.js";

/** One tensor, several stacked ones, or any with their layout. */
export type StoredName = string | readonly string[] | { names: readonly string[]; layout: StoredLayout };

/**
 * Names of Cloze beside names of the file. A key is a parameter ("decoder.bias"), or what stands before its last dot
 * ("decoder" for "decoder.weight" and "decoder.bias"; the last word is then put behind the stored name too). `{i}` is the
 * number of a layer, `{base}` the prefix of the encoder where a head stands on it.
 */
export type NameRules = Readonly<Record<string, StoredName>>;

export interface FamilyNames {
  /** The attribute that holds the encoder in classes with a head: "bert". */
  readonly base: string;
  /** For the encoder's parameters; `{base}` stands before all. */
  readonly encoder: NameRules;
  /** For the head's parameters. */
  readonly head: NameRules;
}

const parsed = (stored: StoredName): StoredParameter =>
  typeof stored === "string"
    ? { names: [stored], layout: stacked }
    : "layout" in stored
      ? stored
      : { names: stored, layout: stacked };

function storedAs(parameter: string, rules: NameRules, replace: (name: string) => string): StoredParameter {
  const dot = parameter.lastIndexOf(".");
  const layer = /^layers\.(\d+)\./.exec(parameter)?.[1];
  const general = layer === undefined ? parameter : parameter.replace(`layers.${layer}.`, "layers.{i}.");
  const found = (key: string): StoredParameter | undefined =>
    Object.hasOwn(rules, key) ? parsed(rules[key]) : undefined;
  for (const name of [parameter, general]) {
    const whole = found(name);
    const pair = whole === undefined ? found(name.slice(0, name.lastIndexOf("."))) : undefined;
    const rule = whole ?? pair;
    if (rule === undefined) continue;
    const suffix = whole === undefined ? parameter.slice(dot) : "";
    return {
      layout: rule.layout,
      names: rule.names.map((stored) => replace(stored.replaceAll("{i}", layer ?? "")) + suffix),
    };
  }
  throw new ClozeError("INTERNAL", `No name is known for the parameter ${parameter}`);
}

/** The names of every parameter of a model, by a family's rules. */
export function namesByRules(encoder: EncoderConfig, head: HeadConfig, { base, ...rules }: FamilyNames): NameMap {
  const prefix = base === "" || head.type === "none" || head.type === "pooler" ? "" : `${base}.`;
  const names = new Map<string, StoredParameter>();
  for (const { name } of encoderSpecs(encoder)) {
    names.set(
      `encoder.${name}`,
      storedAs(name, rules.encoder, (stored) => prefix + stored),
    );
  }
  const inHead = (name: string): StoredParameter =>
    storedAs(name, rules.head, (stored) => stored.replace("{base}", prefix));
  for (const { name } of headSpecs(head, encoder)) names.set(`head.${name}`, inHead(name));
  // The bias of a decoder with a matrix of its own stands beside that matrix; only the tied one stands alone.
  if (names.has("head.decoder.weight") && names.has("head.decoder.bias")) {
    const { names: stored, layout } = inHead("decoder.weight");
    names.set("head.decoder.bias", { names: stored.map((name) => name.replace(/weight$/, "bias")), layout });
  }
  return names;
}

/** The bias that tied decoders have; beside an untied one transformers keeps it, and uses it for nothing. */
export const tiedBias = /(^|\.)(predictions|lm_head)\.bias$/;

/** The other name of a decoder's bias: "lm_head.bias" and "lm_head.decoder.bias". */
function otherBias(name: string): string[] {
  if (tiedBias.test(name)) return [name.replace(/bias$/, "decoder.bias")];
  return /(^|\.)(predictions|lm_head)\.decoder\.bias$/.test(name) ? [name.replace("decoder.bias", "bias")] : [];
}

/**
 * Other names of a tensor: with and without the encoder's prefix, norms as TensorFlow called them, the bias of decoders with
 * and without a matrix of their own.
 */
export function commonAliases(base: string, encoderParts: readonly string[]): (name: string) => string[] {
  const isEncoders = (name: string): boolean => encoderParts.some((part) => name.startsWith(`${part}.`));
  return (name) => {
    const others = name.startsWith(`${base}.`)
      ? [name.slice(base.length + 1)]
      : isEncoders(name)
        ? [`${base}.${name}`]
        : [];
    const old = [name, ...others]
      .filter((candidate) => /LayerNorm\.(weight|bias)$/.test(candidate))
      .map((candidate) => candidate.replace(/weight$/, "gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta"));
    return [...others, ...old, ...otherBias(name)];
  };
}
