// Texts from a decoder, token by token.
import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";
import type { Tokenizer } from "../text/index.js";
import { beamSearch } from "./beam-search.js";
import { applyFilters } from "./filters/apply-filters.js";
import { createFilter, type TokenFilter, type TokenFilterConfig } from "./filters/index.js";
import { createNextTokenScorer } from "./next-token-scorer.js";
import { checkDecoder, checkLength, idOf, promptIds } from "./prompt.js";
import { sampleTexts } from "./sample-texts.js";
import { checkSampler, type SamplerOptions } from "./sampler.js";

export interface GenerateOptions extends SamplerOptions {
  /** Tokens that are added at most. Default 20. */
  maxNewTokens?: number;
  /** Decides every draw. Default 1. */
  seed?: number;
  /** What strikes out tokens, in this order, after the best k were taken: ready ones, or what `createFilter` takes. */
  filters?: readonly (TokenFilter | TokenFilterConfig)[];
  /**
   * Instead of drawing, search for the likeliest text with so many candidates at each length (beam search); temperature, seed
   * and `onToken` do not go with it. Default 1: draw.
   */
  beams?: number;
  /**
   * With beams, a text scores by the sum of its log-probabilities divided by the number of its new tokens to this power; above 0
   * long texts gain. Default 1.
   */
  lengthPenalty?: number;
  /**
   * Keys and values of earlier tokens are kept, where all parts of the model can go on from them; else, and with false, the
   * whole text is read again for each token, with the same results up to rounding. Default true.
   */
  cache?: boolean;
  /** Called after each token with its id, the text so far, and which of several texts it is (from 0). */
  onToken?: (id: number, text: string, index: number) => void;
}

export interface GenerateTextsOptions extends GenerateOptions {
  /** How many texts; with beams, at most as many as there are beams. Default 1. */
  count?: number;
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
  /** With beams: the sum of log-probabilities, the mark of the end's too, by `lengthPenalty`. */
  readonly score?: number;
}

/** Texts that are drawn side by side: more would take memory for their caches, and gain little. */
const together = 8;

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1;

/** @throws INVALID_OPTION */
function checkSearch({ beams = 1, lengthPenalty, count = 1, temperature = 1, seed, onToken }: GenerateTextsOptions) {
  const wrong = (message: string, expected: string, received: unknown): ClozeError =>
    new ClozeError("INVALID_OPTION", message, { expected, received: String(received) });
  if (!isCount(beams)) throw wrong("beams is no count", "a whole number of at least 1", beams);
  if (!isCount(count)) throw wrong("count is no count", "a whole number of at least 1", count);
  if (lengthPenalty !== undefined && !Number.isFinite(lengthPenalty)) {
    throw wrong("lengthPenalty is no number", "a finite number", lengthPenalty);
  }
  if (beams === 1) return;
  if (count > beams) throw wrong("Beam search finds as many texts as it has beams", `count up to ${beams}`, count);
  if (temperature !== 1) throw wrong("Beam search draws nothing", "no temperature", temperature);
  if (seed !== undefined) throw wrong("Beam search draws nothing", "no seed", seed);
  if (onToken !== undefined) throw wrong("Beam search knows a text's tokens at its end only", "no onToken", "one");
}

/** What was made of ids, prompt and all. */
function textOf(tokenizer: Tokenizer, ids: readonly number[], start: number) {
  const text = tokenizer.decode(ids);
  const before = tokenizer.decode(ids.slice(0, start));
  const added = ids.slice(start);
  const continuation = text.startsWith(before) ? text.slice(before.length) : tokenizer.decode(added);
  return { text, continuation, ids: added };
}

/**
 * Goes on with a text several times. Text i is what `generate` draws with the seed `seed + i`; they are drawn side by side, so
 * that the weights are read once for several. With `beams`, the `count` best texts of beam search, the best one first.
 *
 * @param prompt "" begins a new text
 * @throws what `generate` throws
 * @example
 * generateTexts(model, tokenizer, "The weather", { count: 4, topK: 50 });
 */
export function generateTexts(
  model: Model,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateTextsOptions = {},
): GeneratedText[] {
  const { maxNewTokens = 20, seed = 1, filters: wanted = [], beams = 1, lengthPenalty = 1, count = 1 } = options;
  const { cache = true, temperature, topK, onToken } = options;
  const sampler = { temperature, topK };
  checkDecoder(model);
  checkSampler(sampler);
  checkSearch(options);
  const ids = promptIds(model, tokenizer, prompt);
  checkLength(model, ids.length, maxNewTokens);
  const endId = idOf(model, "eos_token_id") ?? tokenizer.roles.separator;
  const owned: TokenFilter[] = [];
  try {
    const filters = wanted.map((filter) => {
      if ("keep" in filter && typeof filter.keep === "function") return filter as TokenFilter;
      const made = createFilter(filter as TokenFilterConfig);
      owned.push(made);
      return made;
    });
    const common: Pick<Parameters<typeof beamSearch>[2], "maxNewTokens" | "endId" | "filter" | "unfiltered"> = {
      maxNewTokens,
      endId,
      filter: (text, candidates) => applyFilters(filters, text, candidates, tokenizer),
      unfiltered: filters.length === 0,
    };
    const withScorer = <T>(body: (scorer: ReturnType<typeof createNextTokenScorer>) => T): T => {
      const scorer = createNextTokenScorer(model, tokenizer.vocabularySize, cache);
      try {
        return body(scorer);
      } finally {
        scorer.dispose();
      }
    };
    if (beams > 1) {
      const found = withScorer((scorer) => beamSearch(scorer, ids, { ...common, beams, lengthPenalty, topK }));
      return found
        .slice(0, count)
        .map(({ ids: all, score, ended }) => ({ ...textOf(tokenizer, all, ids.length), ended, score }));
    }
    const texts: GeneratedText[] = [];
    for (let first = 0; first < count; first += together) {
      const drawn = withScorer((scorer) =>
        sampleTexts(scorer, ids, {
          ...common,
          sampler,
          seed: seed + first,
          count: Math.min(together, count - first),
          onToken: (id, all, index) => onToken?.(id, tokenizer.decode(all), first + index),
        }),
      );
      texts.push(...drawn.map(({ ids: all, ended }) => ({ ...textOf(tokenizer, all, ids.length), ended })));
    }
    return texts;
  } finally {
    for (const filter of owned) filter.dispose?.();
  }
}

/**
 * Goes on with a text: each token is drawn from the model's distribution, by temperature, then the best k, then filters,
 * then a softmax over what is left; or, with `beams`, the likeliest text is searched for. The prompt is read in one pass, then
 * each token costs a pass of one row (see `cache`). An axis filter adds a forward pass of its encoder over `topK` texts a
 * token.
 *
 * @param prompt "" begins a new text
 * @throws HEAD_MISMATCH, GENERATION_LENGTH, GENERATION_PROMPT, GENERATION_FILTERED, INVALID_OPTION, and what `createFilter`
 * throws
 * @example
 * const model = loadModel("gpt2", { architecture: "LMHeadModel" });
 * generate(model, loadTokenizer("gpt2"), "The weather", { topK: 50, filters: [{ type: "axis-filter", axis: "e/moral.json" }] });
 */
export const generate = (
  model: Model,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions = {},
): GeneratedText => generateTexts(model, tokenizer, prompt, { ...options, count: 1 })[0];
