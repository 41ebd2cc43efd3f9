// Reading numbers and choices from the command line; wrong ones are usage errors.
import { InvalidArgumentError } from "commander";

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
