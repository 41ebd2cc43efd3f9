// What a text goes on from, and what can go on with it.
import { frameOf } from "../embedding/text-roles.js";
import { isCausal } from "../encoder/direction.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";
import type { Tokenizer } from "../text/index.js";

/** @throws HEAD_MISMATCH */
export function checkDecoder(model: Model): void {
  const { type } = model.head.config;
  if (type === "causal-language" && isCausal(model.encoder.config)) return;
  throw new ClozeError("HEAD_MISMATCH", "This model does not predict the next token", {
    expected: "a decoder: causal attention and a head that was trained on the next token (GPT2LMHeadModel)",
    received: type === "causal-language" ? "attention that sees what comes next" : `a head of the type "${type}"`,
    remedy: "cloze pretrain --objective causal-language --direction causal makes one.",
  });
}

/** An id of config.json, where it names one that the model has. */
export const idOf = ({ source, encoder }: Model, field: string): number | undefined => {
  const id = source?.[field];
  return typeof id === "number" && id < encoder.config.vocabularySize ? id : undefined;
};

/** The tokens that a text begins with. A text without any begins with the mark of a beginning. */
export function promptIds(model: Model, tokenizer: Tokenizer, prompt: string): number[] {
  const framed = tokenizer.encodeIds(prompt, { truncation: false });
  const ids = Array.from(framed.subarray(0, framed.length - frameOf(tokenizer).behind));
  if (ids.length > 0) return ids;
  const { classification, separator } = tokenizer.roles;
  const start = idOf(model, "bos_token_id") ?? classification ?? separator;
  if (start !== undefined) return [start];
  throw new ClozeError("GENERATION_PROMPT", "There is nothing to go on from", {
    expected: "a prompt, or a vocabulary with a token that begins texts",
    remedy: "Give a prompt of at least one token.",
  });
}

/** @throws GENERATION_LENGTH, INVALID_OPTION */
export function checkLength(model: Model, prompt: number, maxNewTokens: number): void {
  if (!(Number.isInteger(maxNewTokens) && maxNewTokens >= 0)) {
    throw new ClozeError("INVALID_OPTION", "maxNewTokens is no count", {
      expected: "a whole number of at least 0",
      received: String(maxNewTokens),
    });
  }
  const { maxPositions } = model.encoder.config;
  // The last token is drawn, not read.
  if (prompt + maxNewTokens - 1 <= maxPositions) return;
  throw new ClozeError("GENERATION_LENGTH", "The text would be longer than the model reads", {
    expected: `at most ${maxPositions + 1} tokens`,
    received: `${prompt} of the prompt and ${maxNewTokens} new ones`,
    remedy: "Shorten the prompt, or ask for fewer tokens.",
  });
}
