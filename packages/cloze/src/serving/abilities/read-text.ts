// Texts of requests as models that embed read them.
import type { Embedder, TextKind } from "../../embedding/embedder.js";
import { routeFor } from "../../embedding/routed-embedder.js";
import { emptyCounts, prepareText, type TextRoles } from "../../embedding/text-roles.js";
import type { TokenEncoder } from "../../embedding/token-encoder/token-encoder.js";
import { ClozeError } from "../../errors.js";
import type { Steps, Tokenizer } from "../../text/index.js";
import { type CutOptions, type EncodedInput, encodeIdsInput, encodeInput, tooLong } from "../encode-input.js";
import type { LoadedModel } from "../loaded-model.js";
import { ServingError } from "../serving-error.js";

/** How a text to embed is read. */
export interface TextReading {
  /** A prompt of the model, or "query" and "document" where the model tells them apart. */
  readonly promptName?: string;
  /** What the text is, where no prompt is named. */
  readonly role?: keyof TextRoles;
  readonly truncate: boolean;
  readonly direction: "left" | "right";
  /** The field of the request that errors name. Default "inputs". */
  readonly field?: string;
}

/** A text to embed: its sequence, and how many of its first tokens do not count in the pooling. */
export interface TextInput extends EncodedInput {
  readonly promptTokens: number;
  /** What the text is, where the request says it. */
  readonly role?: keyof TextRoles;
}

/** What reading a text needs to know of a model. */
export type TextModel = Pick<LoadedModel, "tokenizer" | "maxLength" | "embedder" | "sparse" | "tokenEncoder">;

/** What texts may be. */
export const roleNames = ["query", "document"] as const;

const noSuchPrompt = (names: readonly string[]): ServingError =>
  new ServingError(
    "validation",
    `The model has no prompt of this name; it has ${names.length === 0 ? "none" : names.join(", ")}`,
    { field: "prompt_name" },
  );

/** What a text is for a model without prompts. @throws ServingError "validation" */
function roleOf({ sparse, tokenEncoder }: TextModel, { promptName, role }: TextReading): keyof TextRoles | undefined {
  if (promptName === undefined) return role;
  const known = sparse === undefined && tokenEncoder === undefined ? [] : roleNames;
  const named = known.find((name) => name === promptName);
  if (named === undefined) throw noSuchPrompt(known);
  return named;
}

/** @throws ServingError "validation" */
function kindOf({ options, routes }: Embedder, { promptName, role }: TextReading): TextKind {
  if (promptName === undefined) return role === undefined ? {} : { role };
  const named = roleNames.find((name) => name === promptName);
  if (Object.hasOwn(options.prompts, promptName)) return { promptName, role: named };
  const apart = routes !== undefined || Object.keys(options.roles).length > 0;
  if (named !== undefined && apart) return { role: named };
  throw noSuchPrompt([...Object.keys(options.prompts), ...(apart ? roleNames : [])]);
}

/** What reads texts of a role. @throws ServingError "validation" where none does, or no role was said */
function readerOf(embedder: Embedder, { role }: TextKind): Embedder {
  try {
    return routeFor(embedder, role);
  } catch (cause) {
    if (!(cause instanceof ClozeError)) throw cause;
    throw new ServingError(
      "validation",
      role === undefined
        ? "The model reads queries and documents differently: say `prompt_name`"
        : `The model does not read a ${role}`,
      { field: "prompt_name", cause },
    );
  }
}

/** A prompt, and the tokenizer of texts with it. @throws ServingError "validation", for models without prompts too */
export function promptOf(model: TextModel, promptName: string): { prompt: string; tokenizer: Tokenizer } {
  const { embedder } = model;
  const reading = { promptName, truncate: true, direction: "right" } as const;
  if (embedder !== undefined) {
    const kind = kindOf(embedder, reading);
    const reader = readerOf(embedder, kind);
    return { prompt: reader.promptOf(kind), tokenizer: reader.tokenizer };
  }
  roleOf(model, reading);
  return { prompt: "", tokenizer: model.tokenizer };
}

/** A text as an encoder of tokens reads it: with a token that says what it is. @throws ServingError "validation" */
function readMarked(model: TextModel, encoder: TokenEncoder, text: string, reading: TextReading): TextInput {
  const role = roleOf(model, reading);
  const counts = emptyCounts();
  const [ids] = encoder.tokenize([text], { role }, counts);
  const dropped = counts.droppedTokens;
  if (dropped > 0 && !reading.truncate)
    throw tooLong(ids.length + dropped, { maxLength: ids.length, field: reading.field });
  const { queryLength, expandQueries } = encoder.settings;
  const tokens = role === "query" && expandQueries ? queryLength : ids.length;
  return { ids, tokens, dropped, promptTokens: 0, role };
}

/**
 * A text, or ids as they are, as a sequence of a model that embeds; in steps.
 *
 * @throws ServingError "validation", "empty", "tokenizer"
 */
export function* readText(model: TextModel, input: string | readonly number[], reading: TextReading): Steps<TextInput> {
  const { embedder: served, tokenEncoder } = model;
  const { truncate, direction, field } = reading;
  if (tokenEncoder !== undefined && typeof input === "string") return readMarked(model, tokenEncoder, input, reading);
  if (served === undefined) {
    const { tokenizer, maxLength } = model;
    const cut: CutOptions = { maxLength, truncate, direction, field };
    const encoded =
      typeof input === "string"
        ? yield* encodeInput(tokenizer, { text: input }, cut)
        : encodeIdsInput(tokenizer, input, cut);
    return { ...encoded, promptTokens: 0, role: roleOf(model, reading) };
  }
  const kind = kindOf(served, reading);
  const embedder = readerOf(served, kind);
  const { tokenizer, options } = embedder;
  const { maxLength } = options;
  const role = options.roles[kind.role ?? "document"] ?? {};
  const cut: CutOptions = { maxLength: Math.min(maxLength, role.maxLength ?? maxLength), truncate, direction, field };
  const prompt = typeof input === "string" ? embedder.promptOf(kind) : "";
  const encoded =
    typeof input === "string"
      ? yield* encodeInput(
          tokenizer,
          { text: prepareText(input, { ...options, prompt }), addSpecialTokens: options.specialTokens },
          cut,
        )
      : encodeIdsInput(tokenizer, input, cut);
  const { segment = 0, positionOffset = 0 } = role;
  const skipped =
    prompt === "" || options.includePrompt ? 0 : (embedder.packTokens([encoded.ids], kind).promptTokens ?? 0);
  return {
    ...encoded,
    ...(segment === 0 ? {} : { segments: new Int32Array(encoded.ids.length).fill(segment) }),
    positionOffset,
    promptTokens: skipped,
    role: kind.role,
  };
}
