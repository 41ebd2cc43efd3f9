// Between the tensors of a file and the parameters of a model, through a family's map of names.
import { noGrad, type SafetensorsFile, scope, type Tensor } from "@cloze/tensor";
import type { ParameterSpec } from "../encoder/part.js";
import { ClozeError } from "../errors.js";
import type { Family, NameMap, StoredParameter } from "./family.js";

/** The name that a file has for a tensor, or undefined. */
export function nameInFile(file: Pick<SafetensorsFile, "has">, family: Pick<Family, "aliases">, name: string) {
  return [name, ...family.aliases(name)].find((candidate) => file.has(candidate));
}

const storedOf = (names: NameMap, parameter: string): StoredParameter => {
  const stored = names.get(parameter);
  if (stored === undefined) throw new ClozeError("INTERNAL", `No name is known for the parameter ${parameter}`);
  return stored;
};

/** A tensor that a file lacks, or has in another shape. */
export interface UnfitWeight {
  /** In the file, or as it would be there. */
  readonly name: string;
  readonly expected: string;
  /** undefined: missing */
  readonly received?: string;
}

/** Those of the tensors that a parameter consists of which a file lacks, or has in another shape. */
export function unfit(
  file: SafetensorsFile,
  family: Family,
  names: NameMap,
  parameter: string,
  { shape }: ParameterSpec,
): UnfitWeight[] {
  const stored = storedOf(names, parameter);
  const shapes = stored.layout.shapes(shape, stored.names.length);
  return stored.names.flatMap((name, i): UnfitWeight[] => {
    const expected = shapes[i].join(", ");
    const found = nameInFile(file, family, name);
    if (found === undefined) return [{ name, expected }];
    const received = file.info(found).shape.join(", ");
    return received === expected ? [] : [{ name: found, expected, received }];
  });
}

/** The error for weights that do not fit: all of them are listed. */
export function unfitError(file: SafetensorsFile, wrong: readonly (UnfitWeight & { parameter: string })[]): ClozeError {
  const [first] = wrong;
  const width = (shape: string) => shape.split(", ").slice(1).join();
  const more = wrong.length > 1 ? ` (and ${wrong.length - 1} more)` : "";
  const list = wrong
    .slice(0, 20)
    .map(({ name, expected, received }) => `${name} [${expected}]${received === undefined ? "" : ` is [${received}]`}`)
    .join("; ");
  const allow = "or let them be made anew (allowMismatched; cloze finetune --allow-mismatched).";
  if (first.received === undefined) {
    return new ClozeError("WEIGHT_MISSING", `The weight ${first.name} is missing${more}`, {
      expected: wrong.length > 1 ? list : `[${first.expected}]`,
      received: `${file.names.length} others, first ${file.names.slice(0, 3).join(", ") || "none"}`,
      remedy: `Check that the folder holds a model of this class, load it as another one, ${allow}`,
    });
  }
  const vocabulary =
    first.parameter === "encoder.embeddings.word.weight" && width(first.received) === width(first.expected);
  return new ClozeError(
    vocabulary ? "VOCABULARY_MISMATCH" : "WEIGHT_SHAPE",
    vocabulary
      ? `The vocabulary of config.json does not fit the embedding ${first.name}`
      : `The weight ${first.name} has another shape than config.json says${more}`,
    {
      expected: `[${first.expected}]`,
      received: wrong.length > 1 ? list : `[${first.received}]`,
      remedy: `Check that model.safetensors and config.json belong together, ${allow}`,
    },
  );
}

/** Reads one parameter, which fits. */
export function readParameter(
  file: SafetensorsFile,
  family: Family,
  names: NameMap,
  parameter: string,
  { shape }: ParameterSpec,
): Tensor {
  const stored = storedOf(names, parameter);
  return scope(() =>
    noGrad(() => {
      const parts = stored.names.map((name) => file.load(nameInFile(file, family, name) ?? name));
      return stored.layout.read(parts, shape);
    }),
  );
}

/**
 * Splits tensors that belong to parameters (their values, or their gradients) into the tensors of a file. Call it inside a
 * scope: the results may be views.
 */
export function toFile(names: NameMap, tensors: Iterable<readonly [string, Tensor]>): [string, Tensor][] {
  const result: [string, Tensor][] = [];
  for (const [parameter, value] of tensors) {
    const stored = storedOf(names, parameter);
    const parts = noGrad(() => stored.layout.write(value, stored.names.length));
    stored.names.forEach((name, i) => {
      result.push([name, parts[i]]);
    });
  }
  return result;
}
