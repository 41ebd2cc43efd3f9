// Averages of the weights along a run: exponential (Polyak; as in arXiv 1803.05407's discussion) or equal (stochastic weight
// averaging). They are kept by the optimizer, so that checkpoints hold them and a resumed run has the same.
import { copyInto, copyOf, mixInPlace, type Optimizer, type Tensor, tensor } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";

export interface AverageOptions {
  /**
   * Exponential: of the average, this share stays at each update (less at first: at most (1 + updates) / (10 + updates)).
   * Default 0.999. "mean": all updates weigh the same.
   */
  decay?: number | "mean";
  /** Steps before the first update. Default 0. */
  start?: number;
  /** Steps between updates. Default 1. */
  every?: number;
}

/** An optimizer that follows the weights. */
export interface AveragingOptimizer extends Optimizer {
  /** Updates so far. */
  readonly updates: number;
  /** Writes the averages over the weights; nothing where there was no update yet. Training should not go on from there. */
  apply(): void;
  /** Runs a function on the averages and puts the weights back: for evaluation on the way. */
  withAverages<T>(body: () => T | Promise<T>): Promise<T>;
}

const suffix = ".average";
const counterName = `steps${suffix}`;

const kept = (value: Tensor): Tensor => copyOf(value).keep("optimizer");

/**
 * Lets an optimizer keep averages of the parameters that it trains.
 *
 * @param parameters by the names of the checkpoint; frozen ones are left out
 * @throws INVALID_OPTION
 * @example
 * const optimizer = averageWeights(createAdamW(groups), model.parameters, { decay: 0.999 });
 * await train({ optimizer, … });
 * optimizer.apply();
 */
export function averageWeights(
  optimizer: Optimizer,
  parameters: ReadonlyMap<string, Tensor>,
  { decay = 0.999, start = 0, every = 1 }: AverageOptions = {},
): AveragingOptimizer {
  const valid = decay === "mean" || (decay >= 0 && decay < 1);
  if (!valid || !(start >= 0) || !(Number.isInteger(every) && every >= 1)) {
    throw new ClozeError("INVALID_OPTION", "The average of the weights has an option out of range", {
      expected: 'decay "mean" or from 0 to below 1, start from 0, every a whole number from 1',
      received: `decay ${decay}, start ${start}, every ${every}`,
    });
  }
  const followed = [...parameters].filter(([, parameter]) => parameter.requiresGrad);
  const averages = new Map<string, Tensor>();
  const counter = tensor(Int32Array.of(0)).keep("optimizer");
  let steps = 0;
  const updatesAt = (step: number): number => (step <= start ? 0 : Math.floor((step - start - 1) / every) + 1);
  const forget = () => {
    for (const average of averages.values()) average.dispose();
    averages.clear();
  };

  function update(updates: number): void {
    // The first update takes the weights as they are.
    const share = decay === "mean" ? 1 / updates : 1 - Math.min(decay, updates / (9 + updates));
    for (const [name, parameter] of followed) {
      const average = averages.get(name);
      if (average === undefined) averages.set(name, kept(parameter));
      else mixInPlace(average, parameter, share);
    }
  }

  return {
    get groups() {
      return optimizer.groups;
    },
    get updates() {
      return updatesAt(steps);
    },
    step(learningRateScale, gradientScale) {
      optimizer.step(learningRateScale, gradientScale);
      steps++;
      const updates = updatesAt(steps);
      if (updates > updatesAt(steps - 1)) update(updates);
    },
    zeroGrad: () => optimizer.zeroGrad(),
    state() {
      const state = new Map(optimizer.state());
      counter.storage.backend.write(Int32Array.of(steps), counter.pointer);
      state.set(counterName, counter);
      for (const [name, average] of averages) state.set(name + suffix, average);
      return state;
    },
    loadState(state) {
      const own = new Map([...state].filter(([name]) => name.endsWith(suffix)));
      const count = own.get(counterName)?.toTypedArray()[0];
      const names = followed.map(([name]) => name + suffix);
      const wanted = count !== undefined && updatesAt(count) > 0 ? names : [];
      const misfit = names.find(
        (name, i) => own.get(name)?.shape.join() !== (wanted.length > 0 ? followed[i][1].shape.join() : undefined),
      );
      if (count === undefined || misfit !== undefined || own.size !== wanted.length + 1) {
        throw new ClozeError("OPTIMIZER_STATE_MISMATCH", "The state's averages do not belong to these parameters", {
          received: misfit ?? `${own.size} averages`,
          remedy: "Load the state of a run with the same model and the same averages.",
        });
      }
      optimizer.loadState(new Map([...state].filter(([name]) => !own.has(name))));
      const copies = wanted.map((name) => [name.slice(0, -suffix.length), kept(own.get(name) as Tensor)] as const);
      forget();
      for (const [name, average] of copies) averages.set(name, average);
      steps = count;
    },
    apply() {
      for (const [name, parameter] of followed) {
        const average = averages.get(name);
        if (average !== undefined) copyInto(parameter, average);
      }
    },
    async withAverages(body) {
      const before = followed.map(([, parameter]) => kept(parameter));
      this.apply();
      try {
        return await body();
      } finally {
        followed.forEach(([, parameter], i) => {
          copyInto(parameter, before[i]);
          before[i].dispose();
        });
      }
    },
    dispose() {
      forget();
      counter.dispose();
      optimizer.dispose();
    },
  };
}
