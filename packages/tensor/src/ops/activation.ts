// Activations: one native call each way, and the formulas they stand for.
import { type ActivationName, activationCode } from "../backend/contract/network.js";
import { backend } from "../backend/index.js";
import { isComposing, record } from "../graph.js";
import { empty, type Tensor } from "../tensor.js";
import { add, erf, mul, relu, sigmoid, tanh } from "./elementwise.js";
import { contiguous } from "./movement.js";

const formulas: Record<ActivationName, (x: Tensor) => Tensor> = {
  none: (x) => x,
  gelu: (x) => mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1)),
  geluTanh: (x) =>
    mul(mul(x, 0.5), add(tanh(mul(add(x, mul(mul(mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI))), 1)),
  relu,
  silu: (x) => mul(x, sigmoid(x)),
  tanh,
  quickGelu: (x) => mul(x, sigmoid(mul(x, 1.702))),
};

/** The activation of that name, element by element. */
export function activation(x: Tensor, name: ActivationName): Tensor {
  if (name === "none") return x;
  if (isComposing()) return formulas[name](x);
  const source = contiguous(x);
  return record({
    name,
    inputs: [source],
    outputs: [activated(source, name)],
    save: [source],
    remake: ([before]) => activated(before, name),
    differentiable: false,
    backward: ([g], { saved }) => [g && activationGradient(saved[0], g, name)],
  })[0];
}

/** The values after an activation. Not recorded. */
export function activated(before: Tensor, name: ActivationName): Tensor {
  const y = empty(before.shape, before.dtype);
  backend().kernels.activationF32(activationCode[name], before.pointer, y.pointer, y.size);
  return y;
}

/** The gradient before an activation, given the one after it and the values before it. Not recorded. */
export function activationGradient(before: Tensor, g: Tensor, name: ActivationName): Tensor {
  const gradient = contiguous(g);
  const gx = empty(before.shape, before.dtype);
  const { kernels } = backend();
  kernels.activationBackwardF32(activationCode[name], before.pointer, gradient.pointer, gx.pointer, gx.size);
  return gx;
}

/** x times the normal distribution function at x (the exact form, by erf). */
export const gelu = (x: Tensor): Tensor => activation(x, "gelu");
/** GELU by tanh, as GPT-2 has it. */
export const geluTanh = (x: Tensor): Tensor => activation(x, "geluTanh");
/** x times sigmoid(x) */
export const silu = (x: Tensor): Tensor => activation(x, "silu");
