// Between the tensors of a file and the parameters of a model, through a family's map of names.
import { concat, noGrad, type SafetensorsFile, scope, slice, type Tensor } from "@cloze/tensor";
import type { ParameterSpec } from "../encoder/part.js";
import { ClozeError } from "../errors.js";
import type { Family, NameMap } from "./family.js";

/** The name that a file has for a tensor, or undefined. */
export function nameInFile(file: Pick<SafetensorsFile, "has">, family: Pick<Family, "aliases">, name: string) {
  return [name, ...family.aliases(name)].find((candidate) => file.has(candidate));
}

const partsOf = (names: NameMap, parameter: string): readonly string[] => {
  const parts = names.get(parameter);
  if (parts === undefined) throw new ClozeError("INTERNAL", `No name is known for the parameter ${parameter}`);
  return parts;
};

/** Which of the tensors that a parameter consists of a file lacks, or has in another shape. */
export function unfit(
  file: SafetensorsFile,
  family: Family,
  names: NameMap,
  parameter: string,
  { shape: [rows, ...rest] }: ParameterSpec,
): { name: string; expected: string; received?: string } | undefined {
  const parts = partsOf(names, parameter);
  const expected = [rows / parts.length, ...rest].join(", ");
  for (const name of parts) {
    const stored = nameInFile(file, family, name);
    if (stored === undefined) return { name, expected };
    const received = file.info(stored).shape.join(", ");
    if (received !== expected) return { name: stored, expected, received };
  }
  return undefined;
}

/**
 * Reads one parameter.
 *
 * @throws WEIGHT_MISSING, WEIGHT_SHAPE, VOCABULARY_MISMATCH naming the tensor of the file
 */
export function readParameter(
  file: SafetensorsFile,
  family: Family,
  names: NameMap,
  parameter: string,
  spec: ParameterSpec,
): Tensor {
  const wrong = unfit(file, family, names, parameter, spec);
  if (wrong?.received !== undefined) {
    const width = (shape: string) => shape.split(", ").slice(1).join();
    const vocabulary =
      parameter === "encoder.embeddings.word.weight" && width(wrong.received) === width(wrong.expected);
    throw new ClozeError(
      vocabulary ? "VOCABULARY_MISMATCH" : "WEIGHT_SHAPE",
      vocabulary
        ? `The vocabulary of config.json does not fit the embedding ${wrong.name}`
        : `The weight ${wrong.name} has another shape than config.json says`,
      {
        expected: `[${wrong.expected}]`,
        received: `[${wrong.received}]`,
        remedy: "Check that model.safetensors and config.json belong together.",
      },
    );
  }
  if (wrong !== undefined) {
    throw new ClozeError("WEIGHT_MISSING", `The weight ${wrong.name} is missing`, {
      expected: `[${wrong.expected}]`,
      received: `${file.names.length} others, first ${file.names.slice(0, 3).join(", ") || "none"}`,
      remedy: "Check that the folder holds a model of this class, or load it as another one.",
    });
  }
  return scope(() =>
    noGrad(() => {
      const parts = partsOf(names, parameter).map((name) => file.load(nameInFile(file, family, name) ?? name));
      return parts.length === 1 ? parts[0] : concat(parts, 0);
    }),
  );
}

/**
 * Splits tensors that belong to parameters (their values, or their gradients) into the tensors of a file. Call it inside a
 * scope: the results are views.
 */
export function toFile(names: NameMap, tensors: Iterable<readonly [string, Tensor]>): [string, Tensor][] {
  const result: [string, Tensor][] = [];
  for (const [parameter, value] of tensors) {
    const parts = partsOf(names, parameter);
    const rows = value.shape[0] / parts.length;
    parts.forEach((name, i) => {
      result.push([
        name,
        parts.length === 1 ? value : noGrad(() => slice(value, [{ start: i * rows, end: (i + 1) * rows }])),
      ]);
    });
  }
  return result;
}
