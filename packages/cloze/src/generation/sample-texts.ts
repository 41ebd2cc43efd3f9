// Several texts, drawn token by token, side by side.
import { noGrad, scope, slice } from "@cloze/tensor";
import { randomSource } from "../data/random-source.js";
import type { NextTokenScorer } from "./next-token-scorer.js";
import { type Candidates, candidatesOf, drawToken, type SamplerOptions } from "./sampler.js";

export interface SampleTextsOptions {
  readonly sampler: SamplerOptions;
  /** The first text's; the others have the next ones. */
  readonly seed: number;
  readonly count: number;
  readonly maxNewTokens: number;
  readonly endId: number | undefined;
  /** What filters leave of the candidates after a text. */
  filter(ids: readonly number[], candidates: Candidates): Candidates;
  /** True where no filter asks for more than the likeliest token. */
  readonly unfiltered: boolean;
  onToken(id: number, ids: readonly number[], text: number): void;
}

/** The ids of a text, prompt and all. */
export interface SampledText {
  readonly ids: number[];
  readonly ended: "end" | "length";
}

/** Each text is drawn as if it were alone, with its own seed. */
export function sampleTexts(
  scorer: NextTokenScorer,
  prompt: readonly number[],
  { sampler, seed, count, maxNewTokens, endId, filter, unfiltered, onToken }: SampleTextsOptions,
): SampledText[] {
  // Ordering a whole vocabulary for its first token is dear.
  const how = sampler.temperature === 0 && unfiltered ? { ...sampler, topK: 1 } : sampler;
  const texts = Array.from({ length: count }, () => ({ ids: [...prompt], ended: "length" as SampledText["ended"] }));
  let running = texts.map((text, index) => ({ text, index, row: 0 }));
  for (let step = 0; step < maxNewTokens && running.length > 0; step++) {
    // All begin with the same prompt, which is read once.
    const reading = step === 0 ? running.slice(0, 1) : running;
    const candidates = scope(() =>
      noGrad(() => {
        const logits = scorer.score(
          reading.map(({ text }) => text.ids),
          reading.map(({ row }) => row),
        );
        return reading.map((_, row) => candidatesOf(slice(logits, [{ start: row, end: row + 1 }]), how));
      }),
    );
    running = running.flatMap(({ text, index }, at) => {
      const row = step === 0 ? 0 : at;
      const left = filter(text.ids, candidates[row]);
      // A stream for each step: what filters leave at one place does not shift the draws after it.
      const id = sampler.temperature === 0 ? left.ids[0] : drawToken(left, randomSource(seed + index, step));
      if (id === endId) {
        text.ended = "end";
        return [];
      }
      text.ids.push(id);
      onToken(id, text.ids, index);
      return [{ text, index, row }];
    });
  }
  return texts;
}
