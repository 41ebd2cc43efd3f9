// Bitext mining: whether each sentence's translation is the nearest.
import { argmax, matmul, noGrad, scope, tensor, transpose } from "@cloze/tensor";
import { type EmbeddingEvaluator, unitRows, vectorsOfTexts } from "./evaluator.js";

/** A sentence and its translation. */
export interface Translation {
  readonly source: string;
  readonly target: string;
}

/** For each row of `a` the nearest row of `b`. Rows have length 1. */
function nearest(a: Float32Array, b: Float32Array, width: number): number[] {
  const found: number[] = [];
  const block = 256;
  for (let start = 0; start * width < a.length; start += block) {
    scope(() =>
      noGrad(() => {
        const part = a.subarray(start * width, (start + block) * width);
        const others = tensor(b, [b.length / width, width]);
        const scores = matmul(tensor(part, [part.length / width, width]), transpose(others));
        found.push(...(argmax(scores).toTypedArray() as Int32Array));
      }),
    );
  }
  return found;
}

/**
 * Share of sentences whose nearest is their translation: from sources to targets (`accuracy`), back (`reverseAccuracy`), and
 * their mean. Equal texts are as good as the own one.
 */
export const bitextEvaluator = (pairs: readonly Translation[]): EmbeddingEvaluator => ({
  name: "bitext",
  headline: "meanAccuracy",
  async evaluate(embedder) {
    const { width } = embedder;
    const [sources, targets] = [pairs.map(({ source }) => source), pairs.map(({ target }) => target)];
    const a = unitRows(await vectorsOfTexts(embedder, sources), width);
    const b = unitRows(await vectorsOfTexts(embedder, targets), width);
    const share = (found: readonly number[], texts: readonly string[]) =>
      found.filter((place, i) => texts[place] === texts[i]).length / texts.length;
    const accuracy = share(nearest(a, b, width), targets);
    const reverseAccuracy = share(nearest(b, a, width), sources);
    return { accuracy, reverseAccuracy, meanAccuracy: (accuracy + reverseAccuracy) / 2 };
  },
});
