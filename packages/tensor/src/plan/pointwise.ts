// Number by number, and row by row, in a plan: what stands between products where no kernel has it inside.
import { binaryCode } from "../backend/contract/elementwise.js";
import { type ActivationName, activationCode } from "../backend/contract/network.js";
import { checkShape } from "../shape.js";
import type { PlanBuilder, PlanColumns, PlanValue } from "./contract.js";

/**
 * a b, where b may be some columns of a wider value.
 *
 * @throws SHAPE_MISMATCH where b has fewer columns, or other rows
 */
export function planMultiply(a: PlanValue, b: PlanColumns, builder: PlanBuilder): PlanValue {
  const { width, per } = a;
  const fits = b.of.per === per && Number.isInteger(b.from) && b.from >= 0 && b.from + width <= b.of.width;
  const received = `${b.of.width} of each ${b.of.per}, from column ${b.from} on`;
  checkShape(fits, "planMultiply", `${width} columns of each ${per}`, received);
  const y = builder.value(width, per);
  const rows = per === "token" ? "tokens" : "sequences";
  builder.call("binaryF32", [binaryCode.mul, a, b, y, rows, width, width, 1, b.of.width, 1], {
    reads: [a, b.of],
    writes: [y],
  });
  return y;
}

/** An activation. */
export function planActivation(x: PlanValue, name: ActivationName, builder: PlanBuilder): PlanValue {
  if (name === "none") return x;
  const y = builder.value(x.width, x.per);
  const count = { count: x.per, times: x.width };
  builder.call("activationF32", [activationCode[name], x, y, count], { reads: [x], writes: [y] });
  return y;
}

/**
 * The softmax of each of `groups` equal groups of columns.
 *
 * @throws SHAPE_MISMATCH where the groups are not equal
 */
export function planSoftmax(x: PlanValue, groups: number, builder: PlanBuilder): PlanValue {
  const fits = Number.isInteger(groups) && groups >= 1 && x.width % groups === 0;
  checkShape(fits, "planSoftmax", `groups that divide ${x.width} columns`, String(groups));
  const y = builder.value(x.width, x.per);
  const rows = { count: x.per, times: groups };
  builder.call("softmaxF32", [x, y, rows, x.width / groups, 0], { reads: [x], writes: [y] });
  return y;
}
