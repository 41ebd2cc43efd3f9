// Texts from a decoder, token by token.
import { noGrad, scope, slice, type Tensor } from "@cloze/tensor";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { frameOf } from "../embedding/text-roles.js";
import { isCausal } from "../encoder/direction.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";
import type { Tokenizer } from "../text/index.js";
import { createFilter, type TokenFilter, type TokenFilterConfig } from "./filters/index.js";
import { type Candidates, candidatesOf, checkSampler, drawToken, type SamplerOptions } from "./sampler.js";

export interface GenerateOptions extends SamplerOptions {
  /** Tokens that are added at most. Default 20. */
  maxNewTokens?: number;
  /** Decides every draw. Default 1. */
  seed?: number;
  /** What strikes out tokens, in this order, after the best k were taken: ready ones, or what `createFilter` takes. */
  filters?: readonly (TokenFilter | TokenFilterConfig)[];
  /** Called after each token with its id and the text so far. */
  onToken?: (id: number, text: string) => void;
}

export interface GeneratedText {
  /** Prompt and continuation. */
  readonly text: string;
  /** What was added. */
  readonly continuation: string;
  /** Tokens that were added, the mark of the end not among them. */
  readonly ids: readonly number[];
  /** "end": the model ended the text; "length": it had no more tokens. */
  readonly ended: "end" | "length";
}

/** @throws HEAD_MISMATCH */
function checkDecoder(model: Model): void {
  const { type } = model.head.config;
  if (type === "causal-language" && isCausal(model.encoder.config)) return;
  throw new ClozeError("HEAD_MISMATCH", "This model does not predict the next token", {
    expected: "a decoder: causal attention and a head that was trained on the next token (GPT2LMHeadModel)",
    received: type === "causal-language" ? "attention that sees what comes next" : `a head of the type "${type}"`,
    remedy: "cloze pretrain --objective causal-language --direction causal makes one.",
  });
}

/** An id of config.json, where it names one that the model has. */
const idOf = ({ source, encoder }: Model, field: string): number | undefined => {
  const id = source?.[field];
  return typeof id === "number" && id < encoder.config.vocabularySize ? id : undefined;
};

/** The tokens that a text begins with. A text without any begins with the mark of a beginning. */
function promptIds(model: Model, tokenizer: Tokenizer, prompt: string): number[] {
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
function checkLength(model: Model, prompt: number, maxNewTokens: number): void {
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

function keptBy(filter: TokenFilter, ids: readonly number[], candidates: Candidates, tokenizer: Tokenizer): Candidates {
  const keep = filter.keep({ ids, candidates, textWith: (id) => tokenizer.decode([...ids, id]) });
  const places = Array.from(candidates.ids.keys()).filter((place) => keep[place] === 1);
  if (places.length > 0) {
    return {
      ids: Int32Array.from(places, (place) => candidates.ids[place]),
      logits: Float32Array.from(places, (place) => candidates.logits[place]),
    };
  }
  throw new ClozeError("GENERATION_FILTERED", `The filter ${filter.type} struck out every token`, {
    expected: "at least one that may come",
    received: `0 of ${candidates.ids.length}`,
  });
}

/**
 * Goes on with a text: each token is drawn from the model's distribution, by temperature, then the best k, then filters,
 * then a softmax over what is left. The whole text so far is read again for each token; nothing is kept between tokens, so
 * n tokens cost n forward passes. An axis filter adds a forward pass of its encoder over `topK` texts a token.
 *
 * @param prompt "" begins a new text
 * @throws HEAD_MISMATCH, GENERATION_LENGTH, GENERATION_PROMPT, GENERATION_FILTERED, INVALID_OPTION, and what `createFilter`
 * throws
 * @example
 * const model = loadModel("gpt2", { architecture: "LMHeadModel" });
 * generate(model, loadTokenizer("gpt2"), "The weather", { topK: 50, filters: [{ type: "axis-filter", axis: "e/moral.json" }] });
 */
export function generate(
  model: Model,
  tokenizer: Tokenizer,
  prompt: string,
  { maxNewTokens = 20, seed = 1, filters: wanted = [], onToken, ...sampler }: GenerateOptions = {},
): GeneratedText {
  checkDecoder(model);
  checkSampler(sampler);
  const ids = promptIds(model, tokenizer, prompt);
  const start = ids.length;
  checkLength(model, start, maxNewTokens);
  const endId = idOf(model, "eos_token_id") ?? tokenizer.roles.separator;
  const filters = wanted.map((filter) =>
    "keep" in filter && typeof filter.keep === "function"
      ? { filter: filter as TokenFilter, own: false }
      : { filter: createFilter(filter as TokenFilterConfig), own: true },
  );
  let ended: GeneratedText["ended"] = "length";
  try {
    for (let step = 0; step < maxNewTokens; step++) {
      let candidates = scope(() =>
        noGrad(() => {
          const { logits } = model.forward(packSequences([{ ids }]), { rows: Int32Array.of(ids.length - 1) });
          // Embeddings that were padded to a round size have rows that no token is.
          const ofTokens = slice(logits as Tensor, [{}, { end: tokenizer.vocabularySize }]);
          return candidatesOf(ofTokens, sampler);
        }),
      );
      for (const { filter } of filters) candidates = keptBy(filter, ids, candidates, tokenizer);
      // A stream for each step: what filters leave at one place does not shift the draws after it.
      const id = sampler.temperature === 0 ? candidates.ids[0] : drawToken(candidates, randomSource(seed, step));
      if (id === endId) {
        ended = "end";
        break;
      }
      ids.push(id);
      onToken?.(id, tokenizer.decode(ids));
    }
  } finally {
    for (const { filter, own } of filters) if (own) filter.dispose?.();
  }
  const text = tokenizer.decode(ids);
  const before = tokenizer.decode(ids.slice(0, start));
  const added = ids.slice(start);
  const continuation = text.startsWith(before) ? text.slice(before.length) : tokenizer.decode(added);
  return { text, continuation, ids: added, ended };
}
