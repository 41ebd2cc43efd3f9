// How an embedder reads texts: prompts, limits, fields, and the batches that come of them.
import { ClozeError } from "../errors.js";
import type { Tokenizer } from "../text/index.js";
import type { Embedder, TextKind } from "./embedder.js";
import { frameOf, packIds, type TextLayout, type TextRole, tokenizeTexts } from "./text-roles.js";

/** What of an embedder reads texts. */
export type TextReader = Pick<Embedder, "promptOf" | "tokenize" | "fieldIndex" | "packTokens" | "pack">;

function checkPrompt(prompts: Readonly<Record<string, string>>, name: string | undefined): void {
  if (name === undefined || Object.hasOwn(prompts, name)) return;
  throw new ClozeError("PROMPT_UNKNOWN", `The embedder has no prompt of the name "${name}"`, {
    expected: Object.keys(prompts).join(", ") || "no name, since it has no prompts",
  });
}

/** @throws FIELD_UNKNOWN */
function fieldPlace(fields: readonly string[], field: string): number {
  const place = fields.indexOf(field);
  if (place >= 0) return place;
  throw new ClozeError("FIELD_UNKNOWN", `The embedder has no field of the name "${field}"`, {
    expected: fields.join(", ") || "no field, since it has none",
    remedy: "Fields are given by extendWithExperts, or by the option fields of createEmbedder.",
  });
}

const noPlaceForField = (field: string | undefined): ClozeError =>
  new ClozeError("FIELD_TOKEN", "A field's token stands in place of the first special token of a text", {
    expected: "texts that begin with a special token",
    received: `the field "${field}", and no such token`,
    remedy: "Leave specialTokens on, or take field names that are no tokens.",
  });

/**
 * Reads texts as the settings say.
 *
 * @throws PROMPT_UNKNOWN where the default prompt has no text
 */
export function createTextReader(tokenizer: Tokenizer, settings: Embedder["options"]): TextReader {
  const { prompts, roles } = settings;
  checkPrompt(prompts, settings.defaultPrompt);
  const promptOf: Embedder["promptOf"] = ({ role, promptName, prompt } = {}) => {
    if (prompt !== undefined) return prompt;
    checkPrompt(prompts, promptName);
    const names = role === "query" ? ["query"] : role === "document" ? ["document", "passage", "corpus"] : [];
    const name = promptName ?? names.find((one) => Object.hasOwn(prompts, one)) ?? settings.defaultPrompt;
    return name === undefined ? "" : prompts[name];
  };
  const roleOf = ({ role = "document" }: TextKind): TextRole => roles[role] ?? {};
  const layoutOf = (kind: TextKind): TextLayout => ({ ...settings, prompt: promptOf(kind) });
  const promptLengths = new Map<string, number>();
  /** Tokens of a prompt, the special ones before it included. */
  const promptTokens = (kind: TextKind): number => {
    const prompt = promptOf(kind);
    if (settings.includePrompt || prompt === "") return 0;
    let length = promptLengths.get(prompt);
    if (length === undefined) {
      const [ids] = tokenizeTexts(tokenizer, [""], layoutOf({ prompt }));
      length = ids.length - Number(ids.length > 0 && tokenizer.specialIds.has(ids[ids.length - 1]));
      promptLengths.set(prompt, length);
    }
    return length;
  };
  const fieldIndex: Embedder["fieldIndex"] = (field) => fieldPlace(settings.fields, field);
  /** The token of a field, where it has one. */
  const fieldToken = (field: string | undefined): number | undefined =>
    field === undefined ? undefined : tokenizer.tokenToId(settings.fields[fieldIndex(field)]);
  const tokenize: Embedder["tokenize"] = (texts, kind = {}, counts) => {
    const ids = tokenizeTexts(tokenizer, texts, layoutOf(kind), roleOf(kind), counts);
    const token = fieldToken(kind.field);
    if (token === undefined) return ids;
    if (!settings.specialTokens || frameOf(tokenizer).before === 0) throw noPlaceForField(kind.field);
    for (const text of ids) text[0] = token;
    return ids;
  };
  const packTokens: Embedder["packTokens"] = (ids, kind = {}) => {
    const skip = promptTokens(kind);
    const batch = packIds(ids, roleOf(kind));
    return {
      ...batch,
      ...(skip === 0 ? {} : { promptTokens: skip }),
      ...(kind.field === undefined ? {} : { routes: new Int32Array(ids.length).fill(fieldIndex(kind.field)) }),
    };
  };
  return {
    promptOf,
    fieldIndex,
    tokenize,
    packTokens,
    pack(texts, kind = {}) {
      const whole = typeof kind === "string" ? { role: kind } : kind;
      return packTokens(tokenize(texts, whole), whole);
    },
  };
}
