import { backend } from "../backend/index.js";
import { adamSlots, checkOption, createOptimizer, type Optimizer, type ParameterGroup } from "./optimizer.js";
import { touchedRows } from "./touched-rows.js";

export interface AdamWOptions {
  /** Decay rates of the two moments. Default 0.9 and 0.999. */
  beta1?: number;
  beta2?: number;
  /** Default 1e-8. */
  epsilon?: number;
}

/**
 * AdamW as PyTorch computes it: decoupled decay, bias correction. A parameter with `sparseRows` whose gradient touched
 * named rows only is updated lazily: these rows move (and decay), the others and their moments rest; their gradient is
 * cleared in the same pass.
 *
 * @example
 * const optimizer = createAdamW(decayGroups(model.parameters(), { learningRate: 1e-4, weightDecay: 0.01 }));
 * backward(loss);
 * const norm = clipGradientNorm(model.parameters().values(), 1);
 * optimizer.step(schedule(step));
 * optimizer.zeroGrad();
 */
export function createAdamW(
  groups: readonly ParameterGroup[],
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamWOptions = {},
): Optimizer {
  checkOption("beta1", beta1, 0, 1);
  checkOption("beta2", beta2, 0, 1);
  checkOption("epsilon", epsilon, 0);
  return createOptimizer(groups, adamSlots, ({ entry, gradient, learningRate, weightDecay, gradientScale }) => {
    const { parameter, step } = entry;
    const { kernels } = backend();
    const m = entry.slot("firstMoment").pointer;
    const v = entry.slot("secondMoment").pointer;
    const keep = 1 - learningRate * weightDecay;
    const stepSize = learningRate / (1 - beta1 ** step);
    const inverseRoot = 1 / Math.sqrt(1 - beta2 ** step);
    const touched = touchedRows(parameter);
    if (touched === undefined) {
      kernels.adamwF32(
        parameter.pointer,
        gradient.pointer,
        m,
        v,
        parameter.size,
        gradientScale,
        keep,
        1 - beta1,
        beta2,
        1 - beta2,
        stepSize,
        inverseRoot,
        epsilon,
      );
      return;
    }
    kernels.adamwRowsF32(
      parameter.pointer,
      gradient.pointer,
      m,
      v,
      touched.rows,
      touched.count,
      touched.width,
      gradientScale,
      keep,
      1 - beta1,
      beta2,
      1 - beta2,
      stepSize,
      inverseRoot,
      epsilon,
    );
    parameter.touchedRows = [];
    gradient.markWritten();
  });
}
