import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import { checkOption, createOptimizer, type Optimizer, type ParameterGroup, type Slots } from "./optimizer.js";
import { touchedRows } from "./touched-rows.js";

export interface SgdOptions {
  /** Default 0: no momentum. */
  momentum?: number;
  /** Default 0. */
  dampening?: number;
  /** Look ahead along the momentum. Default false. */
  nesterov?: boolean;
}

/**
 * Gradient descent as PyTorch computes it. Without momentum, tables with `sparseRows` are updated on touched rows only.
 * @throws INVALID_OPTION for nesterov without momentum or with dampening
 */
export function createSgd(
  groups: readonly ParameterGroup[],
  { momentum = 0, dampening = 0, nesterov = false }: SgdOptions = {},
): Optimizer {
  checkOption("momentum", momentum, 0);
  if (nesterov && (momentum === 0 || dampening !== 0)) {
    throw new ClozeError("INVALID_OPTION", "nesterov needs momentum and no dampening", {
      remedy: "Set momentum: 0.9, dampening: 0.",
    });
  }
  const slotsOf = ({ shape }: Tensor): Slots => (momentum === 0 ? {} : { momentum: shape });
  return createOptimizer(groups, slotsOf, ({ entry, gradient, learningRate, weightDecay, gradientScale }) => {
    const { parameter } = entry;
    const { kernels } = backend();
    const touched = momentum === 0 ? touchedRows(parameter) : undefined;
    if (touched !== undefined) {
      kernels.sgdRowsF32(
        parameter.pointer,
        gradient.pointer,
        touched.rows,
        touched.count,
        touched.width,
        gradientScale,
        learningRate,
        weightDecay,
      );
      parameter.touchedRows = [];
      gradient.markWritten();
      return;
    }
    const buffer = momentum === 0 ? null : entry.slot("momentum").pointer;
    kernels.sgdF32(
      parameter.pointer,
      gradient.pointer,
      buffer,
      parameter.size,
      gradientScale,
      learningRate,
      weightDecay,
      momentum,
      dampening,
      Number(nesterov),
      Number(entry.step === 1),
    );
  });
}
