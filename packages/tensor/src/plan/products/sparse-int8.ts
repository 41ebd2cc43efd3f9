import { activationCode } from "../../backend/contract/network.js";
import { disposeSteps, fastestSteps, storeSteps } from "../sparse-int8-weight.js";
import { hasCodes, type Product } from "./product.js";

/** Pruned weights as the 8-bit codes that they have left, where that is faster than all codes. */
export const sparseInt8: Product = (request, tools) => {
  const { x, weight, bias, activation, residual, inputRange } = request;
  const steps = hasCodes(request, tools) ? fastestSteps(weight) : undefined;
  if (steps === undefined) return undefined;
  const [n, k] = weight.shape;
  const stored = storeSteps(steps);
  tools.own(() => disposeSteps(stored));
  const { codes, parameters } = tools.codesOf(x, inputRange);
  const y = tools.value(n, x.per);
  tools.call(
    "linearSparseInt8F32",
    [
      codes,
      parameters,
      stored.starts,
      stored.inputs,
      stored.weights,
      stored.columns,
      tools.copied(bias),
      y,
      tools.countOf(x),
      n,
      k,
      steps.form.height,
      Number(steps.form.runs),
      activationCode[activation],
      residual ?? null,
    ],
    { reads: [codes, parameters, residual], writes: [y] },
  );
  return y;
};
