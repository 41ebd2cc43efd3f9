// What every optimizer shares: groups of named parameters, state by parameter name, rows of tables that were touched.
import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { formatShape, type Shape, sameShape } from "../shape.js";
import { contiguousCopy, empty, type Tensor, zeros } from "../tensor.js";
import { clearTouched, forgetTouched } from "./touched-rows.js";

/** Parameters that are trained alike. `learningRate` and `weightDecay` may be changed between steps. */
export interface ParameterGroup {
  name: string;
  /** By name; the names are those of the checkpoint. */
  parameters: ReadonlyMap<string, Tensor> | readonly (readonly [string, Tensor])[];
  learningRate: number;
  /** Default 0. */
  weightDecay?: number;
}

export interface Optimizer {
  readonly groups: readonly ParameterGroup[];
  /**
   * Updates every parameter that has a gradient. `learningRateScale` is what a schedule gives; `gradientScale` multiplies
   * the gradients on the way (`clipFactor`, or 1 / accumulated batches) without a pass over memory of its own.
   */
  step(learningRateScale?: number, gradientScale?: number): void;
  /** Forgets all gradients. Tables with `sparseRows` keep their buffer; only rows that were touched are cleared. */
  zeroGrad(): void;
  /** State by `<parameter name>.<slot>`: the optimizer's own tensors, for checkpoints. Do not dispose them. */
  state(): Map<string, Tensor>;
  /**
   * Replaces the state by copies of what `state()` gave in another run. Nothing changes when it throws.
   * @throws OPTIMIZER_STATE_MISMATCH
   */
  loadState(state: ReadonlyMap<string, Tensor>): void;
  /** Frees the state. */
  dispose(): void;
}

/** One parameter as the update rules see it. */
export interface Entry {
  readonly name: string;
  readonly parameter: Tensor;
  readonly group: ParameterGroup;
  /** Number of updates so far, this one included. */
  step: number;
  readonly slots: Map<string, Tensor>;
  /** A tensor of the state, zeros at first use. */
  slot(name: string, shape?: Shape): Tensor;
}

export interface Update {
  readonly entry: Entry;
  readonly gradient: Tensor;
  /** The group's, times the scale given to `step`. */
  readonly learningRate: number;
  readonly learningRateScale: number;
  readonly weightDecay: number;
  readonly gradientScale: number;
}

/** The tensors that a rule keeps for a parameter: their shapes by name. */
export type Slots = Readonly<Record<string, Shape>>;

/** What Adam and its kin keep. */
export const adamSlots = ({ shape }: Tensor): Slots => ({ firstMoment: shape, secondMoment: shape });

/** Throws INVALID_OPTION unless the value lies in [low, high). */
export function checkOption(name: string, value: number, low: number, high = Number.POSITIVE_INFINITY): void {
  if (value >= low && value < high) return;
  throw new ClozeError("INVALID_OPTION", `${name} is out of range`, {
    expected:
      high === Number.POSITIVE_INFINITY ? `a finite number of at least ${low}` : `at least ${low} and below ${high}`,
    received: String(value),
  });
}

function entriesOf(groups: readonly ParameterGroup[]): Entry[] {
  const names = new Set<string>();
  const seen = new Map<Tensor, string>();
  const entries: Entry[] = [];
  for (const group of groups) {
    checkOption(`learningRate of group ${group.name}`, group.learningRate, 0);
    checkOption(`weightDecay of group ${group.name}`, group.weightDecay ?? 0, 0);
    for (const [name, parameter] of group.parameters) {
      const other = seen.get(parameter);
      if (names.has(name) || other !== undefined) {
        throw new ClozeError("DUPLICATE_PARAMETER", "A parameter belongs to one group, under one name", {
          received: other === undefined ? `${name} twice` : `${other} and ${name} are the same tensor`,
          remedy: "List a tied parameter once.",
        });
      }
      if (!parameter.contiguous) {
        throw new ClozeError("NOT_CONTIGUOUS", `The parameter ${name} is a strided view`, {
          remedy: "Train a contiguous copy.",
        });
      }
      names.add(name);
      seen.set(parameter, name);
      const slots = new Map<string, Tensor>();
      entries.push({
        name,
        parameter,
        group,
        step: 0,
        slots,
        slot(slot, shape = parameter.shape) {
          let value = slots.get(slot);
          if (value === undefined) {
            value = zeros(shape, parameter.dtype).keep("optimizer");
            slots.set(slot, value);
          }
          return value;
        },
      });
    }
  }
  return entries;
}

const mismatch = (message: string, expected?: string, received?: string): ClozeError =>
  new ClozeError("OPTIMIZER_STATE_MISMATCH", message, {
    expected,
    received,
    remedy: "Load the state of a run with the same model and the same optimizer.",
  });

/** Builds an optimizer from its rule for one parameter. `slotsOf` names what the rule asks `entry.slot` for. */
export function createOptimizer(
  groups: readonly ParameterGroup[],
  slotsOf: (parameter: Tensor) => Slots,
  update: (update: Update) => void,
): Optimizer {
  const entries = entriesOf(groups);
  const steps = new Map<Entry, Tensor>();

  const forget = () => {
    for (const entry of entries) {
      for (const value of entry.slots.values()) value.dispose();
      entry.slots.clear();
      entry.step = 0;
    }
  };

  return {
    groups,
    step(learningRateScale = 1, gradientScale = 1) {
      for (const entry of entries) {
        const { parameter, group } = entry;
        if (parameter.grad === undefined || !parameter.requiresGrad) continue;
        if (parameter.touchedRows?.length === 0) continue;
        const gradient = parameter.grad.contiguous ? parameter.grad : contiguousCopy(parameter.grad);
        if (!sameShape(gradient.shape, parameter.shape) || gradient.dtype !== parameter.dtype) {
          throw new ClozeError("SHAPE_MISMATCH", `The gradient of ${entry.name} does not fit its parameter`, {
            expected: `${parameter.dtype} ${formatShape(parameter.shape)}`,
            received: `${gradient.dtype} ${formatShape(gradient.shape)}`,
          });
        }
        entry.step++;
        if (parameter.size > 0) {
          update({
            entry,
            gradient,
            learningRate: group.learningRate * learningRateScale,
            learningRateScale,
            weightDecay: group.weightDecay ?? 0,
            gradientScale,
          });
        }
        parameter.markWritten();
        if (gradient !== parameter.grad) gradient.dispose();
      }
    },
    zeroGrad() {
      for (const { parameter } of entries) {
        if (parameter.grad === undefined) continue;
        if (parameter.touchedRows !== undefined) clearTouched(parameter);
        else {
          parameter.grad.dispose();
          parameter.grad = undefined;
        }
      }
    },
    state() {
      const state = new Map<string, Tensor>();
      for (const entry of entries) {
        if (entry.step === 0) continue;
        for (const [slot, value] of entry.slots) state.set(`${entry.name}.${slot}`, value);
        let step = steps.get(entry);
        if (step === undefined) {
          step = empty([], "int32").keep("optimizer");
          steps.set(entry, step);
        }
        backend().write(Int32Array.of(entry.step), step.pointer);
        state.set(`${entry.name}.step`, step);
      }
      return state;
    },
    loadState(state) {
      const byName = new Map(entries.map((entry) => [entry.name, entry]));
      const plan = new Map<Entry, Map<string, Tensor>>();
      for (const [key, value] of state) {
        const dot = key.lastIndexOf(".");
        const entry = byName.get(key.slice(0, dot));
        if (entry === undefined) throw mismatch(`The state names a parameter that is not trained here: ${key}`);
        const slot = key.slice(dot + 1);
        const slots = slotsOf(entry.parameter);
        if (slot !== "step" && !Object.hasOwn(slots, slot))
          throw mismatch(`This optimizer keeps no "${slot}" for ${entry.name}`);
        const shape = slot === "step" ? [] : slots[slot];
        const dtype = slot === "step" ? "int32" : entry.parameter.dtype;
        if (!sameShape(shape, value.shape) || value.dtype !== dtype) {
          throw mismatch(
            `The state ${key} does not fit`,
            `${dtype} ${formatShape(shape)}`,
            `${value.dtype} ${formatShape(value.shape)}`,
          );
        }
        plan.set(entry, (plan.get(entry) ?? new Map<string, Tensor>()).set(slot, value));
      }
      for (const [entry, values] of plan) {
        const needed = entry.parameter.size === 0 ? [] : Object.keys(slotsOf(entry.parameter));
        const missing = ["step", ...needed].find((slot) => !values.has(slot));
        if (missing !== undefined) throw mismatch(`The state lacks ${entry.name}.${missing}`);
        const step = values.get("step")?.item() ?? 0;
        if (step < 1) throw mismatch(`The state counts no steps of ${entry.name}`, "at least 1", String(step));
      }
      // Copied before the old state goes: it may be the same tensors.
      const copies = [...plan].map(([entry, values]) => {
        const step = values.get("step")?.item() ?? 0;
        values.delete("step");
        const slots = [...values].map(([slot, value]) => [slot, contiguousCopy(value).keep("optimizer")] as const);
        return { entry, step, slots };
      });
      forget();
      for (const { entry, step, slots } of copies) {
        entry.step = step;
        for (const [slot, value] of slots) entry.slots.set(slot, value);
      }
    },
    dispose() {
      forget();
      for (const value of steps.values()) value.dispose();
      steps.clear();
      for (const { parameter } of entries) forgetTouched(parameter);
    },
  };
}

/** Names of biases and of the scales of normalisation layers, as models of Hugging Face write them. */
const undecayed = /(^|\.)bias$|norm\d*\.(weight|gamma|beta)$|(^|\.)ln_\w+\.weight$/i;

/**
 * The usual two groups: all parameters decay except biases and normalisation layers (or those whose name `noDecay` finds).
 * @example
 * createAdamW(decayGroups(model.parameters(), { learningRate: 1e-4, weightDecay: 0.01 }));
 */
export function decayGroups(
  parameters: ReadonlyMap<string, Tensor> | readonly (readonly [string, Tensor])[],
  { learningRate, weightDecay, noDecay = undecayed }: { learningRate: number; weightDecay: number; noDecay?: RegExp },
): ParameterGroup[] {
  const all = [...parameters];
  const part = (name: string, without: boolean, decay: number): ParameterGroup => ({
    name,
    parameters: all.filter(([key]) => key.search(noDecay) >= 0 === without),
    learningRate,
    weightDecay: decay,
  });
  return [part("decay", false, weightDecay), part("noDecay", true, 0)];
}
