import { backend } from "../backend/index.js";
import { empty } from "../tensor.js";
import { adamSlots, checkOption, createOptimizer, type Optimizer, type ParameterGroup } from "./optimizer.js";

export interface LambOptions {
  /** Default 0.9 and 0.999. */
  beta1?: number;
  beta2?: number;
  /** Default 1e-6. */
  epsilon?: number;
  /** Steps that are scaled to the length of their parameter: all, or those of groups with weight decay. Default "all". */
  adapt?: "all" | "decayed";
}

/**
 * LAMB (You et al. 2020): Adam's direction plus decay, per parameter scaled to the length of the parameter, so that very
 * large batches train. Tables with `sparseRows` are updated whole.
 */
export function createLamb(
  groups: readonly ParameterGroup[],
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-6, adapt = "all" }: LambOptions = {},
): Optimizer {
  checkOption("beta1", beta1, 0, 1);
  checkOption("beta2", beta2, 0, 1);
  checkOption("epsilon", epsilon, 0);
  return createOptimizer(groups, adamSlots, ({ entry, gradient, learningRate, weightDecay, gradientScale }) => {
    const { parameter, step } = entry;
    const { kernels } = backend();
    const direction = empty(parameter.shape, parameter.dtype);
    kernels.adamDirectionF32(
      parameter.pointer,
      gradient.pointer,
      entry.slot("firstMoment").pointer,
      entry.slot("secondMoment").pointer,
      direction.pointer,
      parameter.size,
      gradientScale,
      weightDecay,
      1 - beta1,
      beta2,
      1 - beta2,
      1 / (1 - beta1 ** step),
      1 / Math.sqrt(1 - beta2 ** step),
      epsilon,
    );
    const weightNorm = Math.sqrt(kernels.sumSquaresF32(parameter.pointer, parameter.size));
    const directionNorm = Math.sqrt(kernels.sumSquaresF32(direction.pointer, parameter.size));
    const adapted = adapt === "all" || weightDecay > 0;
    const trust = adapted && weightNorm > 0 && directionNorm > 0 ? weightNorm / directionNorm : 1;
    kernels.addScaledF32(direction.pointer, parameter.pointer, parameter.size, -learningRate * trust, 1);
    direction.dispose();
  });
}
