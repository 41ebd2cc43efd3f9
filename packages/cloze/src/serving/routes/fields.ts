// Fields that several routes take, and what they say when they are wrong.
import { z } from "zod";
import type { TextReading } from "../abilities/read-text.js";
import type { ServerState } from "../http/exchange.js";
import { ServingError } from "../serving-error.js";
import { idList, idLists, isIdList, isText, listOf, textList } from "./list-of.js";

/** Not part of text-embeddings-inference, which serves one model. */
export const modelField = z.string().nullish().describe("name of a served model; default: the first that fits");

export const truncateField = z
  .boolean()
  .nullish()
  .describe(
    "cut texts that are too long (default: as the server is set; cuts are counted in x-cloze-truncated-tokens)",
  );

export const directionField = z
  .string()
  .transform((direction) => direction.toLowerCase())
  .pipe(z.enum(["left", "right"], { error: 'expected "left" or "right"' }))
  .default("right")
  .describe("the end that is cut off");

export const promptNameField = z
  .string()
  .nullish()
  .describe('a prompt of the model; "query" and "document" where the model tells them apart');

export const textField = z.string({ error: "expected a text" });

/** A text or several. */
export const textsField = z.union([z.string(), textList()], { error: "expected a text or a list of texts" });

/** A text or several, or ids of tokens: OpenAI's. */
export const inputsField = z.union([z.string(), textList(), idList(), idLists()], {
  error: "expected a text, a list of texts, a list of token ids, or a list of such lists",
});

const isTextOrIds = (value: unknown): boolean => isText(value) || isIdList(value);

/** The same, where a list may hold both: text-embeddings-inference's. */
export const mixedInputsField = z.union(
  [z.string(), idList(), listOf(z.union([z.string(), idList()]), "", { isRight: isTextOrIds })],
  { error: "expected a text, a list of token ids, or a list of texts and of lists of token ids" },
);

export type Input = string | readonly number[];

/**
 * The inputs of a body as a list.
 *
 * @throws ServingError "empty" when there is none, or when one is
 */
export function inputList(
  inputs: string | readonly (string | number | readonly number[])[],
  field = "inputs",
): Input[] {
  const list: readonly Input[] =
    typeof inputs === "string"
      ? [inputs]
      : typeof inputs[0] === "number"
        ? [inputs as readonly number[]]
        : (inputs as readonly Input[]);
  if (list.length > 0 && list.every(({ length }) => length > 0)) return [...list];
  throw new ServingError("empty", `\`${field}\` cannot be empty`, { field });
}

export const readingOf = (
  { settings }: ServerState,
  body: { truncate?: boolean | null; truncation_direction?: "left" | "right"; prompt_name?: string | null },
): TextReading => ({
  promptName: body.prompt_name ?? undefined,
  truncate: body.truncate ?? settings.autoTruncate,
  direction: body.truncation_direction ?? "right",
});

export const vectorSchema = z.array(z.number());
