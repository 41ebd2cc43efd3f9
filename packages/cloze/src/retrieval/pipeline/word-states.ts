// States of the words of texts, as CEQE takes them.
import { noGrad, scope } from "@cloze/tensor";
import { groupByTokenBudget, packSequences } from "../../data/packed-batch.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import { type Analyzer, createAnalyzer } from "../lexical/analyzer.js";

export interface WordStatesOptions {
  /** What makes terms of words: that of the index. Words as they are unless told. */
  analyze?: Analyzer;
  /** Layer whose output is taken; the last but one unless told. */
  layer?: number;
  /** Tokens of a chunk that the model reads at once, special ones included; 128 unless told. */
  maxLength?: number;
  /** Tokens per forward pass. Default 8192. */
  tokenBudget?: number;
}

/** The words of a text in order, and a state for each: the mean of its pieces. */
export interface WordStates {
  readonly terms: string[];
  /** [words][hidden] */
  readonly vectors: Float32Array[];
}

/**
 * Reads texts, long ones in chunks. A word that a chunk's end cuts counts as two.
 *
 * @example
 * const [query, ...documents] = wordStates(model, tokenizer, [text, ...found], { analyze });
 * const weights = ceqeWeights(query.vectors, documents.map((document, i) => ({ ...document, score: scores[i] })));
 */
export function wordStates(
  model: Model,
  tokenizer: Tokenizer,
  texts: readonly string[],
  options: WordStatesOptions = {},
): WordStates[] {
  const { hiddenSize, layers } = model.encoder.config;
  const {
    analyze = createAnalyzer(),
    layer = Math.max(0, layers.length - 1),
    maxLength = 128,
    tokenBudget = 8192,
  } = options;
  const chunks = texts.flatMap((text, t) => {
    const first = tokenizer.encode(text, { truncation: { maxLength }, padding: false });
    return [first, ...first.overflowing].map((encoding) => ({ encoding, text: t }));
  });
  const states: Float32Array[] = new Array(chunks.length);
  const lengths = chunks.map(({ encoding }) => encoding.ids.length);
  for (const group of groupByTokenBudget(lengths, tokenBudget)) {
    const batch = packSequences(group.map((i) => ({ ids: chunks[i].encoding.ids })));
    const values = noGrad(() =>
      scope(() => model.encoder.forward(batch, { depth: layer }).hidden.toTypedArray() as Float32Array),
    );
    group.forEach((chunk, i) => {
      states[chunk] = values.slice(batch.offsets[i] * hiddenSize, batch.offsets[i + 1] * hiddenSize);
    });
  }
  const read = texts.map((): WordStates => ({ terms: [], vectors: [] }));
  for (const [c, { encoding, text }] of chunks.entries()) {
    const { ids, wordIds, offsets } = encoding;
    for (let start = 0; start < ids.length; ) {
      let end = start + 1;
      const word = wordIds[start];
      while (word !== null && end < ids.length && wordIds[end] === word) end++;
      if (word !== null) {
        const mean = new Float32Array(hiddenSize);
        for (let i = start; i < end; i++)
          for (let h = 0; h < hiddenSize; h++) mean[h] += states[c][i * hiddenSize + h] / (end - start);
        for (const term of analyze(texts[text].slice(offsets[start][0], offsets[end - 1][1]))) {
          read[text].terms.push(term);
          read[text].vectors.push(mean);
        }
      }
      start = end;
    }
  }
  return read;
}
