// Reading numbers and choices from the command line; wrong ones are usage errors.
import { InvalidArgumentError } from "commander";

/** The flag of an option, by its name in code: `tokenBits` is `--token-bits`. */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** A whole number of at least `least`. */
export const wholeNumber =
  (least = 1) =>
  (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`A whole number of at least ${least} is needed.`);
  };

/** A number between two bounds. */
export const numberBetween =
  (low: number, high = Number.POSITIVE_INFINITY) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== "" && value >= low && value <= high) return value;
    const range = high === Number.POSITIVE_INFINITY ? `of at least ${low}` : `from ${low} to ${high}`;
    throw new InvalidArgumentError(`A number ${range} is needed.`);
  };

/** `name=value`; the value is JSON where it reads as such. */
export function setting(text: string, before: Record<string, unknown> = {}): Record<string, unknown> {
  const cut = text.indexOf("=");
  if (cut < 1) throw new InvalidArgumentError('A name and a value are needed, such as "rate=0.3".');
  const value = text.slice(cut + 1);
  let parsed: unknown = value;
  try {
    parsed = JSON.parse(value);
  } catch {
    // A word stands for itself.
  }
  return { ...before, [text.slice(0, cut)]: parsed };
}

/** `part=column`; without a column the part has none. */
export function partColumn(text: string, before: Record<string, string | null> = {}): Record<string, string | null> {
  const cut = text.indexOf("=");
  if (cut < 1) throw new InvalidArgumentError('A part and a column are needed, such as "text=review".');
  return { ...before, [text.slice(0, cut)]: text.slice(cut + 1) || null };
}
