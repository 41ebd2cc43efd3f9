// Rankers with an exit behind each layer: one by one, when a candidate is sure enough (early-exit monoBERT, Xin 2020), or by ranks,
// where the worst leave (cascade transformer, Soldaini and Moschitti 2020).
import { add, crossEntropy, linear, noGrad, scope, type Tensor, take, tanh, tensor } from "@cloze/tensor";
import { groupByTokenBudget, type PackedBatch, packSequences, type Sequence } from "../../data/packed-batch.js";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import type { ParameterSpec } from "../../encoder/part.js";
import { deriveSeed } from "../../encoder/seeds.js";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/model.js";

/** How sure an exit must be. Most candidates are not relevant, so that there are two thresholds; above 1: never. */
export interface ExitThresholds {
  /** Of P(relevant). Default 0.99. */
  positive?: number;
  /** Of P(not relevant). Default 0.9. */
  negative?: number;
}

export interface ExitScores {
  /** Higher is more relevant. */
  readonly scores: Float64Array;
  /** Layers that read each candidate. */
  readonly layers: Int32Array;
}

export interface ExitRanker {
  /** Layers behind which there is an exit, rising; the last is the model's last. */
  readonly exits: readonly number[];
  /** The encoder's by their names, and `exits.…`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Logits (not relevant, relevant) of each exit, with gradients where recorded: [sequences, 2] each */
  logits(sequences: readonly Sequence[], options?: { training?: boolean; seed?: number }): Tensor[];
  /** Sum of the cross-entropies of all exits. @param relevant 0 or 1 for each sequence */
  loss(
    sequences: readonly Sequence[],
    relevant: ArrayLike<number>,
    options?: { training?: boolean; seed?: number },
  ): Tensor;
  /** P(relevant) at the first exit that is sure, or the last. @param tokenBudget tokens per pass; 8192 unless told */
  score(sequences: readonly Sequence[], thresholds?: ExitThresholds, tokenBudget?: number): ExitScores;
  /**
   * The candidates of one query in one batch: at each exit but the last, the worst share leaves (rounded down). Scores are the
   * number of the exit, plus P(relevant) there: who stays longer ranks higher.
   */
  cascade(sequences: readonly Sequence[], share: number): ExitScores;
  /** Frees the exits and the model. */
  dispose(): void;
}

/** Share of the full model's work that a cascade does, where exactly `share` of the candidates leave at each exit. */
export function cascadeCost(exits: readonly number[], share: number): number {
  const steps = exits.map((exit, i) => (exit - (exits[i - 1] ?? 0)) * (1 - share) ** i);
  return steps.reduce((sum, step) => sum + step, 0) / exits[exits.length - 1];
}

/**
 * Puts exits into a model; the ranker owns it.
 *
 * @param exits layers behind which there is one; all unless told
 * @param source where the exits' parameters come from; new ones by seed 1 unless told
 * @throws EXIT_LAYERS for exits that do not rise to the last layer
 */
export function createExitRanker(
  model: Model,
  exits: readonly number[] = model.encoder.config.layers.map((_, i) => i + 1),
  source: ParameterSource = { seed: 1 },
): ExitRanker {
  const { hiddenSize, layers, initializerRange } = model.encoder.config;
  if (exits.some((exit, i) => !(exit > (exits[i - 1] ?? 0))) || exits[exits.length - 1] !== layers.length) {
    throw new ClozeError("EXIT_LAYERS", "Exits stand behind layers, rising, the last behind the last layer", {
      expected: `numbers from 1 to ${layers.length}`,
      received: exits.join(", "),
    });
  }
  const specs = exits.flatMap((exit): ParameterSpec[] => [
    { name: `${exit}.pooler.weight`, shape: [hiddenSize, hiddenSize], initial: "normal" },
    { name: `${exit}.pooler.bias`, shape: [hiddenSize], initial: "zeros" },
    { name: `${exit}.classifier.weight`, shape: [2, hiddenSize], initial: "normal" },
    { name: `${exit}.classifier.bias`, shape: [2], initial: "zeros" },
  ]);
  const own = createParameters(
    specs,
    "load" in source ? source : { seed: deriveSeed(source.seed, "exits") },
    initializerRange,
  );
  const parameters = new Map(model.encoder.parameters);
  for (const [name, value] of own) parameters.set(`exits.${name}`, value);

  interface Step {
    readonly states: Tensor;
    /** [sequences, 2] */
    readonly logits: Tensor;
  }
  /** Runs to an exit, from the one before. */
  function step(
    batch: PackedBatch,
    place: number,
    states: Tensor | undefined,
    options: { training?: boolean; seed?: number } = {},
  ): Step {
    const exit = exits[place];
    const resume = states === undefined ? undefined : { layer: exits[place - 1], hidden: states };
    const output = model.encoder.forward(batch, { ...options, depth: exit, resume, hiddenStates: true });
    const first = take(output.hidden, tensor(batch.offsets.slice(0, -1))); // [sequences, hidden]
    const of = (name: string) => lookUp(own, `${exit}.${name}`);
    const pooled = tanh(linear(first, of("pooler.weight"), of("pooler.bias")));
    return {
      states: output.beforeFinalNorm ?? output.hidden,
      logits: linear(pooled, of("classifier.weight"), of("classifier.bias")),
    };
  }
  const logits: ExitRanker["logits"] = (sequences, options) =>
    scope(() => {
      const batch = packSequences(sequences);
      let states: Tensor | undefined;
      return exits.map((_, place) => {
        const found = step(batch, place, states, options);
        states = found.states;
        return found.logits;
      });
    });
  /** Runs exit by exit; `stay` says which of those that are left (by their P(relevant)) go on. */
  function run(
    sequences: readonly Sequence[],
    stay: (probabilities: readonly number[]) => readonly boolean[],
    leave: (sequence: number, place: number, probability: number) => void,
  ): void {
    noGrad(() =>
      scope(() => {
        let left = sequences.map((_, i) => i);
        let states: Tensor | undefined;
        for (let place = 0; place < exits.length && left.length > 0; place++) {
          const batch = packSequences(left.map((i) => sequences[i]));
          const found = step(batch, place, states);
          const values = found.logits.toTypedArray() as Float32Array;
          const probabilities = left.map((_, i) => 1 / (1 + Math.exp(values[2 * i] - values[2 * i + 1])));
          const stays = place + 1 === exits.length ? left.map(() => false) : stay(probabilities);
          const rows: number[] = [];
          left.forEach((sequence, i) => {
            if (!stays[i]) leave(sequence, place, probabilities[i]);
            else for (let row = batch.offsets[i]; row < batch.offsets[i + 1]; row++) rows.push(row);
          });
          if (rows.length > 0) states = take(found.states, tensor(Int32Array.from(rows)));
          left = left.filter((_, i) => stays[i]);
        }
      }),
    );
  }
  const nothing = (count: number): ExitScores => ({ scores: new Float64Array(count), layers: new Int32Array(count) });
  return {
    exits,
    parameters,
    logits,
    loss: (sequences, relevant, options) =>
      scope(() => {
        const targets = tensor(Int32Array.from(relevant));
        return logits(sequences, options)
          .map((one) => crossEntropy(one, targets))
          .reduce((sum, one) => add(sum, one));
      }),
    score(sequences, { positive = 0.99, negative = 0.9 } = {}, tokenBudget = 8192) {
      const result = nothing(sequences.length);
      const lengths = sequences.map(({ ids }) => ids.length);
      const stay = (all: readonly number[]) => all.map((one) => one <= positive && 1 - one <= negative);
      for (const group of groupByTokenBudget(lengths, tokenBudget)) {
        run(
          group.map((i) => sequences[i]),
          stay,
          (i, place, probability) => {
            result.scores[group[i]] = probability;
            result.layers[group[i]] = exits[place];
          },
        );
      }
      return result;
    },
    cascade(sequences, share) {
      const result = nothing(sequences.length);
      const stay = (all: readonly number[]) => {
        const worst = all.map((_, i) => i).sort((a, b) => all[a] - all[b] || b - a);
        const leaving = new Set(worst.slice(0, Math.min(all.length - 1, Math.floor(share * all.length + 1e-9))));
        return all.map((_, i) => !leaving.has(i));
      };
      run(sequences, stay, (i, place, probability) => {
        result.scores[i] = place + probability;
        result.layers[i] = exits[place];
      });
      return result;
    },
    dispose() {
      model.dispose();
      for (const value of own.values()) value.dispose();
    },
  };
}
