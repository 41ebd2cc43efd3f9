// The learning-rate range test (Smith, arXiv 1506.01186): the rate grows from step to step until the loss explodes.
import { backward, clipFactor, copyInto, copyOf, gradientNorm, scope } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/model.js";
import type { ObjectiveVocabulary } from "../objectives/index.js";
import { type PretrainOptions, preparePretraining } from "./pretrain.js";
import type { PretrainCorpus } from "./pretraining-batches.js";

export interface LearningRatePoint {
  readonly learningRate: number;
  /** Of the batch. */
  readonly loss: number;
  /** Running mean over about ten batches. */
  readonly smooth: number;
}

export interface LearningRateTest {
  readonly points: readonly LearningRatePoint[];
  /** A tenth of the rate at which the loss was least: large, with room before it explodes. */
  readonly suggestion: number;
}

export interface LearningRateTestOptions {
  /** Steps at most. Default 100. */
  readonly testSteps?: number;
  /** First and last rate. Default 1e-6 and 1. */
  readonly lowest?: number;
  readonly highest?: number;
}

/** The loss is smoothed with this weight of what was before, and corrected for its start. */
const memory = 0.9;

/** Runs from `lowest` to `highest`; the loss is over when it is a half more than its start, or no number. */
function sweep(
  step: (learningRate: number, i: number) => number,
  options: LearningRateTestOptions,
): LearningRatePoint[] {
  const { testSteps = 100, lowest = 1e-6, highest = 1 } = options;
  const points: LearningRatePoint[] = [];
  let mean = 0;
  for (let i = 0; i < testSteps; i++) {
    const learningRate = lowest * (highest / lowest) ** (i / Math.max(1, testSteps - 1));
    const loss = step(learningRate, i);
    mean = memory * mean + (1 - memory) * loss;
    const smooth = mean / (1 - memory ** (i + 1));
    if (!Number.isFinite(loss)) break;
    points.push({ learningRate, loss, smooth });
    if (i > 10 && smooth > 1.5 * points[0].smooth) break;
  }
  return points;
}

/**
 * Finds a learning rate for a run by training with a growing one; the model is afterwards what it was.
 *
 * @throws LEARNING_RATE_TEST when not one step gives a finite loss, and what `pretrain` throws before its first step
 * @example
 * const { suggestion, points } = findLearningRate(model, tokenizer, corpus, { objective: { type: "masked-language" } });
 */
export function findLearningRate(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  options: PretrainOptions & LearningRateTestOptions,
): LearningRateTest {
  const prepared = preparePretraining(model, tokenizer, corpus, { ...options, learningRate: 1 });
  const { trained, source, loss } = prepared;
  const optimizer = prepared.createOptimizer();
  const before = new Map([...trained].map(([name, parameter]) => [name, copyOf(parameter)]));
  try {
    const points = sweep((learningRate, i) => {
      const batch = source.next();
      const value = scope(() => {
        const result = loss(batch, { step: i, seed: i });
        if (typeof result === "number") return result;
        backward(result);
        return result.item();
      });
      if (Number.isFinite(value)) optimizer.step(learningRate, clipFactor(gradientNorm(trained.values()), 1));
      optimizer.zeroGrad();
      return value;
    }, options);
    if (points.length === 0) {
      throw new ClozeError("LEARNING_RATE_TEST", "The loss is no number at the smallest learning rate already", {
        remedy: "Look at the model's weights and at the texts.",
      });
    }
    const best = points.reduce((least, point) => (point.smooth < least.smooth ? point : least));
    return { points, suggestion: Number((best.learningRate / 10).toPrecision(2)) };
  } finally {
    for (const [name, value] of before) {
      const parameter = trained.get(name);
      if (parameter !== undefined) copyInto(parameter, value);
      value.dispose();
    }
    for (const parameter of trained.values()) {
      parameter.grad?.dispose();
      parameter.grad = undefined;
    }
    optimizer.dispose();
    prepared.dispose();
  }
}

/** The picture of a test: loss over the logarithm of the rate, with the suggestion. */
export function learningRateSvg({ points, suggestion }: LearningRateTest, { width = 720, height = 320 } = {}): string {
  const margin = { left: 56, right: 16, top: 32, bottom: 36 };
  const logs = points.map(({ learningRate }) => Math.log10(learningRate));
  const [first, last] = [Math.min(...logs), Math.max(...logs, Math.min(...logs) + 1e-9)];
  const least = Math.min(...points.map(({ smooth }) => smooth));
  // What explodes would hide the valley.
  const most = Math.max(points[0].loss, least + 1e-9) * 1.1;
  const x = (log: number): number =>
    margin.left + ((log - first) / (last - first)) * (width - margin.left - margin.right);
  const y = (loss: number): number =>
    margin.top + ((most - Math.min(most, loss)) / (most - least)) * (height - margin.top - margin.bottom);
  const line = (pick: (point: LearningRatePoint) => number): string =>
    points.map((point, i) => `${i === 0 ? "M" : "L"}${x(logs[i]).toFixed(1)} ${y(pick(point)).toFixed(1)}`).join("");
  const ticks = Array.from({ length: Math.floor(last) - Math.ceil(first) + 1 }, (_, i) => Math.ceil(first) + i);
  const chosen = x(Math.log10(suggestion)).toFixed(1);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="${margin.left}" y="20" font-size="14">loss by learning rate; ${suggestion} is suggested</text>
${ticks
  .map(
    (tick) =>
      `<line x1="${x(tick).toFixed(1)}" x2="${x(tick).toFixed(1)}" y1="${margin.top}" y2="${height - margin.bottom}" stroke="#ddd"/>` +
      `<text x="${x(tick).toFixed(1)}" y="${height - 16}" text-anchor="middle">1e${tick}</text>`,
  )
  .join("\n")}
${[least, points[0].loss].map((loss) => `<text x="${margin.left - 6}" y="${(y(loss) + 4).toFixed(1)}" text-anchor="end">${loss.toPrecision(3)}</text>`).join("\n")}
<line x1="${chosen}" x2="${chosen}" y1="${margin.top}" y2="${height - margin.bottom}" stroke="#d95f0e" stroke-dasharray="4 3"/>
<path d="${line(({ loss }) => loss)}" fill="none" stroke="#9ecae1" stroke-width="1"/>
<path d="${line(({ smooth }) => smooth)}" fill="none" stroke="#08519c" stroke-width="2"/>
</svg>
`;
}
