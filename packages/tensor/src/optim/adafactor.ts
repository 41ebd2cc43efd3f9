import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { noGrad } from "../graph.js";
import { scope } from "../memory.js";
import { add, div, mul, rsqrt, square } from "../ops/elementwise.js";
import { reshape } from "../ops/movement.js";
import { mean } from "../ops/reduce.js";
import type { Tensor } from "../tensor.js";
import { checkOption, createOptimizer, type Optimizer, type ParameterGroup, type Slots } from "./optimizer.js";

/** The defaults are those of transformers' Adafactor. */
export interface AdafactorOptions {
  /** Added to squared gradients. Default 1e-30. */
  epsilon?: number;
  /** The least scale of a parameter, with `scaleParameter`. Default 1e-3. */
  scaleEpsilon?: number;
  /** The largest root mean square of an update. Default 1. */
  clipThreshold?: number;
  /** Exponent of the decay of the second moment. Default -0.8. */
  decayRate?: number;
  /** Decay of a first moment; default none, which saves its memory. */
  beta1?: number;
  /** Multiply the learning rate by the parameter's root mean square. Default true. */
  scaleParameter?: boolean;
  /** Take min(0.01, 1/sqrt(step)) instead of the groups' learning rate. Default true. */
  relativeStep?: boolean;
  /** With `relativeStep`: take 1e-6 x step instead of 0.01. Default false. */
  warmupInit?: boolean;
}

/**
 * Adafactor (Shazeer and Stern 2018): the second moment of a matrix is kept as one number per row and one per column.
 * With `relativeStep` the groups' `learningRate` is not used; the scale given to `step` still is.
 */
export function createAdafactor(groups: readonly ParameterGroup[], options: AdafactorOptions = {}): Optimizer {
  const { epsilon = 1e-30, scaleEpsilon = 1e-3, clipThreshold = 1, decayRate = -0.8, beta1 } = options;
  const { scaleParameter = true, relativeStep = true, warmupInit = false } = options;
  checkOption("epsilon", epsilon, 0);
  checkOption("scaleEpsilon", scaleEpsilon, 0);
  checkOption("clipThreshold", clipThreshold, Number.MIN_VALUE);
  if (beta1 !== undefined) checkOption("beta1", beta1, 0, 1);
  if (warmupInit && !relativeStep) {
    throw new ClozeError("INVALID_OPTION", "warmupInit needs relativeStep", {
      remedy: "Use a schedule with warm-up instead.",
    });
  }
  const rowShape = (p: { shape: readonly number[] }) => p.shape.slice(0, -1);
  const columnShape = (p: { shape: readonly number[] }) => [...p.shape.slice(0, -2), p.shape[p.shape.length - 1]];
  const slotsOf = (parameter: Tensor): Slots => ({
    ...(beta1 === undefined ? {} : { firstMoment: parameter.shape }),
    ...(parameter.rank < 2
      ? { secondMoment: parameter.shape }
      : { rowMoment: rowShape(parameter), columnMoment: columnShape(parameter) }),
  });
  const moveTowards = (state: Tensor, target: Tensor, share: number) => {
    backend().kernels.addScaledF32(target.pointer, state.pointer, state.size, share, 1 - share);
    state.markWritten();
  };
  const rootMeanSquare = (x: Tensor) => Math.sqrt(backend().kernels.sumSquaresF32(x.pointer, x.size) / x.size);

  return createOptimizer(groups, slotsOf, (update) => {
    const { entry, gradient, learningRate, learningRateScale, weightDecay, gradientScale } = update;
    const { parameter, step } = entry;
    const { kernels } = backend();
    const scaled = parameter.size;
    const relative = Math.min(warmupInit ? 1e-6 * step : 1e-2, 1 / Math.sqrt(step));
    const base = relativeStep ? relative * learningRateScale : learningRate;
    const rate = base * (scaleParameter ? Math.max(scaleEpsilon, rootMeanSquare(parameter)) : 1);
    const share = step ** decayRate;
    noGrad(() =>
      scope(() => {
        const g = gradientScale === 1 ? gradient : mul(gradient, gradientScale);
        const squared = add(square(g), epsilon);
        let change: Tensor;
        if (parameter.rank >= 2) {
          const rows = entry.slot("rowMoment", rowShape(parameter));
          const columns = entry.slot("columnMoment", columnShape(parameter));
          moveTowards(rows, mean(squared, [-1]), share);
          moveTowards(columns, mean(squared, [-2]), share);
          const rowFactor = rsqrt(div(rows, mean(rows, [-1], true)));
          const perRow = mul(g, reshape(rowFactor, [...rows.shape, 1]));
          change = mul(
            perRow,
            reshape(rsqrt(columns), [...columns.shape.slice(0, -1), 1, columns.shape[columns.rank - 1]]),
          );
        } else {
          const second = entry.slot("secondMoment");
          moveTowards(second, squared, share);
          change = mul(g, rsqrt(second));
        }
        let factor = rate / Math.max(1, rootMeanSquare(change) / clipThreshold);
        if (beta1 !== undefined) {
          const first = entry.slot("firstMoment");
          kernels.addScaledF32(change.pointer, first.pointer, scaled, factor * (1 - beta1), beta1);
          first.markWritten();
          change = first;
          factor = 1;
        }
        if (weightDecay !== 0)
          kernels.addScaledF32(parameter.pointer, parameter.pointer, scaled, -weightDecay * rate, 1);
        kernels.addScaledF32(change.pointer, parameter.pointer, scaled, -factor, 1);
      }),
    );
  });
}
