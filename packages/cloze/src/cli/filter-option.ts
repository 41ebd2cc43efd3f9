// Conditions on fields from the command line: lang=en, lang=en,de, lang!=en, year>=2010.
import { InvalidArgumentError } from "commander";
import type { FieldBounds, FieldCondition, Filter } from "../retrieval/store/filter.js";

const boundNames = { ">=": "gte", ">": "gt", "<=": "lte", "<": "lt" } as const;

const scalar = (text: string): string | number | boolean => {
  if (text === "true" || text === "false") return text === "true";
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
};

/** A written-out number may be a text in the data: both are found. */
const values = (text: string): (string | number | boolean)[] =>
  text.split(",").flatMap((one) => (scalar(one) === one ? [one] : [scalar(one), one]));

/** One condition more. */
export function filterOption(text: string, before: Filter = {}): Filter {
  const parts = /^(.+?)(>=|<=|!=|>|<|=)(.*)$/s.exec(text);
  if (parts === null)
    throw new InvalidArgumentError("A condition is needed, such as lang=en, year>=2010 or lang!=en,de.");
  const [, field, sign, value] = parts;
  const known: FieldCondition | undefined = before[field];
  // A field is either one of some values, or within bounds and not some values.
  if (known !== undefined && (sign === "=" || Array.isArray(known)))
    throw new InvalidArgumentError(
      `${field} has a condition already, which = cannot be added to; any of several: ${field}=one,another.`,
    );
  if (sign === "=") return { ...before, [field]: values(value) };
  const bounds = (known ?? {}) as FieldBounds;
  if (sign === "!=") {
    const { not = [] } = bounds;
    return { ...before, [field]: { ...bounds, not: [...(Array.isArray(not) ? not : [not]), ...values(value)] } };
  }
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number))
    throw new InvalidArgumentError(`${sign} takes a number, not ${JSON.stringify(value)}.`);
  return { ...before, [field]: { ...bounds, [boundNames[sign as keyof typeof boundNames]]: number } };
}
