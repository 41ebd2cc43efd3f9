// What --help says of parts that a command knows by name, and of their options.
import type { z } from "zod";

/** A part with a name and options that describe themselves. */
export interface HelpedPart {
  readonly type: string;
  readonly description: string;
  readonly options: z.ZodObject;
}

/** A description of each part, with a line for each of its options. */
export const partsHelp = (parts: readonly HelpedPart[]): string =>
  parts
    .map(({ type, description, options }) => {
      const lines = Object.entries(options.shape).map(
        ([name, schema]) => `      ${name}  ${(schema as { description?: string }).description ?? ""}`,
      );
      return [`  ${type}`, `    ${description}`, ...lines].join("\n");
    })
    .join("\n");
