// What a served model can be asked for. Which abilities it has follows from what its folder holds.

import type { TextRoles } from "../../embedding/text-roles.js";
import { type CutOptions, type EncodedInput, encodeIdsInput, encodeInput } from "../encode-input.js";
import type { LoadedModel } from "../loaded-model.js";
import { ServingError } from "../serving-error.js";

/** How a text to embed is read. */
export interface TextReading {
  /** A prompt of the model, or "query" and "document" where the model tells them apart. */
  readonly promptName?: string;
  readonly truncate: boolean;
  readonly direction: "left" | "right";
}

const roleNames: readonly (keyof TextRoles)[] = ["query", "document"];

/** What reading a text needs to know of a model. */
export type TextModel = Pick<LoadedModel, "tokenizer" | "maxLength" | "embedder" | "prompts">;

function readingOf({ prompts, embedder }: TextModel, promptName = prompts.default) {
  const roles = embedder?.options.roles ?? {};
  const role = roleNames.find((name) => name === promptName);
  if (promptName === undefined) return { prompt: "", role: roles.document };
  const prompt = prompts.texts[promptName];
  const known = role !== undefined && Object.keys(roles).length > 0;
  if (prompt === undefined && !known) {
    const names = [...Object.keys(prompts.texts), ...(Object.keys(roles).length > 0 ? roleNames : [])];
    throw new ServingError(
      "validation",
      `The model has no prompt of this name; it has ${names.length === 0 ? "none" : names.join(", ")}`,
      { field: "prompt_name" },
    );
  }
  return { prompt: prompt ?? "", role: role === undefined ? roles.document : roles[role] };
}

/**
 * A text, or ids as they are, as a sequence of a model that embeds.
 *
 * @throws ServingError "validation", "empty", "tokenizer"
 */
export function readText(
  loaded: TextModel,
  input: string | readonly number[],
  { promptName, truncate, direction }: TextReading,
): EncodedInput {
  const { tokenizer, maxLength, embedder } = loaded;
  const { prompt, role = {} } = readingOf(loaded, promptName);
  const cut: CutOptions = { maxLength: Math.min(maxLength, role.maxLength ?? maxLength), truncate, direction };
  const addSpecialTokens = embedder?.options.specialTokens ?? true;
  const encoded =
    typeof input === "string"
      ? encodeInput(tokenizer, { text: prompt + input, addSpecialTokens }, cut)
      : encodeIdsInput(tokenizer, input, cut);
  const { segment = 0, positionOffset = 0 } = role;
  return {
    ...encoded,
    ...(segment === 0 ? {} : { segments: new Int32Array(encoded.ids.length).fill(segment) }),
    positionOffset,
  };
}
