// One layer: a mixer and a channel, each with its norm and its residual.
import { add, dropout, mul, noGrad, type PlanBuilder, type PlanValue, type Tensor } from "@cloze/tensor";
import { seenTokens } from "./batch.js";
import { bindChannel } from "./channels/index.js";
import type { EncoderConfig, LayerConfig } from "./config.js";
import { bindMixer } from "./mixers/index.js";
import { normalize, normSpecs, planNorm, unplanned } from "./norm.js";
import { type OnnxGraph, type OnnxValue, onnxNorm, unexported } from "./onnx.js";
import { cutParts, rowsOf } from "./output-parts.js";
import { lookUp, prefixed } from "./parameters.js";
import type {
  BoundSlot,
  BoundWeight,
  ParameterSpec,
  PlanCondition,
  SlotAccess,
  SlotContext,
  WithWeights,
} from "./part.js";
import { bindWeight, weightSchema } from "./weights/index.js";

type Parameters = ReadonlyMap<string, Tensor>;

/** Where layers write their plan, and what they ask of batches. */
export interface LayerPlan {
  readonly builder: PlanBuilder;
  readonly conditions: PlanCondition[];
}

/** A slot whose matrices know how they are stored. */
interface Slot {
  readonly parameters: readonly ParameterSpec[];
  /** See `BoundSlot.shared`. */
  readonly shared: readonly ParameterSpec[];
  forward(x: Tensor, parameters: Parameters, context: SlotContext): Tensor;
  /** The branch in a plan, with what is added to it. @throws PLAN_UNSUPPORTED */
  plan(x: PlanValue, parameters: Parameters, plan: LayerPlan, residual?: PlanValue): PlanValue;
  /** The branch in an ONNX graph. @throws ONNX_UNSUPPORTED */
  onnx(x: OnnxValue, parameters: Parameters, graph: OnnxGraph): OnnxValue;
}

/** A layer before it has parameters. */
export interface Layer {
  /** Its own; none where it uses those of another layer. */
  readonly parameters: readonly ParameterSpec[];
  /** What it shares with its like in other layers, by their names in the encoder. */
  readonly shared: readonly ParameterSpec[];
  /** See `BoundSlot.heedsContext`, of all its parts. */
  readonly heedsContext: boolean;
  /** See `BoundSlot.cacheWidth`: of the one part that keeps rows. Undefined: a part cannot go on from a cache. */
  readonly cacheWidth: number | undefined;
  /** x: [tokens, hidden] -> [tokens, hidden] */
  forward(x: Tensor, parameters: Parameters, context: SlotContext): Tensor;
  /** The same in a plan. @throws PLAN_UNSUPPORTED */
  plan(x: PlanValue, parameters: Parameters, plan: LayerPlan): PlanValue;
  /** The same in an ONNX graph. x: [batch, sequence, hidden]. @throws ONNX_UNSUPPORTED */
  onnx(x: OnnxValue, parameters: Parameters, graph: OnnxGraph): OnnxValue;
}

function slotOf(
  prefix: string,
  bound: BoundSlot,
  settings: WithWeights & { readonly type: string },
  startAtZero: boolean,
): Slot {
  const weights = "weights" in settings ? settings.weights : undefined;
  const matrices = new Map<string, BoundWeight>();
  const specs: ParameterSpec[] = [];
  for (const matrix of bound.matrices) {
    const stored = weightSchema.parse(weights?.[matrix.name] ?? { type: "dense" });
    const weight = bindWeight(stored, matrix.residual && startAtZero ? { ...matrix, initial: "zeros" } : matrix);
    matrices.set(matrix.name, weight);
    specs.push(...prefixed(`${prefix}.${matrix.name}`, weight.parameters));
  }
  specs.push(...prefixed(prefix, bound.vectors ?? []));
  return {
    parameters: specs,
    shared: prefixed("shared", bound.shared ?? []),
    forward(x, parameters, context) {
      const find = (name: string, input: Tensor) => {
        const weight = matrices.get(name);
        if (weight === undefined) throw new Error(`${prefix} declares no matrix ${name}`);
        context.observe?.(`${prefix}.${name}`, input);
        return { weight, parameter: (local: string) => lookUp(parameters, `${prefix}.${name}.${local}`) };
      };
      const access: SlotAccess = {
        linear(name, input, options = {}) {
          const { weight, parameter } = find(name, input);
          const seed = context.training ? context.seed(`${prefix}.${name}`) : undefined;
          return weight.linear(input, parameter, { ...options, seed });
        },
        linearParts(name, input, parts) {
          const { weight, parameter } = find(name, input);
          const { part } = weight;
          if (part !== undefined) {
            return parts.map(({ start, end, rows }) => part(rowsOf(input, rows), parameter, start, end));
          }
          const seed = context.training ? context.seed(`${prefix}.${name}`) : undefined;
          return cutParts(weight.linear(input, parameter, { seed }), parts);
        },
        parameter: (name) => lookUp(parameters, `${prefix}.${name}`),
        shared: (name) => lookUp(parameters, `shared.${name}`),
      };
      return bound.forward(x, access, context);
    },
    plan(x, parameters, { builder, conditions }, residual) {
      if (bound.plan === undefined) throw unplanned(`the part "${settings.type}"`);
      const weightOf = (name: string): BoundWeight => {
        const weight = matrices.get(name);
        if (weight?.plan === undefined) throw unplanned(`weights of the type "${weights?.[name]?.type}"`);
        return weight;
      };
      const of = (name: string) => (local: string) => lookUp(parameters, `${prefix}.${name}.${local}`);
      const last = bound.matrices.find((matrix) => matrix.residual)?.name;
      const y = bound.plan(x, {
        builder,
        parameter: (name) => lookUp(parameters, `${prefix}.${name}`),
        shared: (name) => lookUp(parameters, `shared.${name}`),
        fixed: (name, input) => noGrad(() => weightOf(name).linear(input, of(name), {})),
        onlyFor: (takes) => conditions.push(takes),
        linear(name, input, options = {}) {
          const weight = weightOf(name);
          return weight.plan?.(input, of(name), name === last ? { ...options, residual } : options, builder) ?? input;
        },
      });
      return last === undefined && residual !== undefined ? builder.add(y, residual) : y;
    },
    onnx(x, parameters, graph) {
      if (bound.onnx === undefined) throw unexported(`the part "${settings.type}"`);
      return bound.onnx(x, {
        graph,
        parameter: (name) => lookUp(parameters, `${prefix}.${name}`),
        shared: (name) => lookUp(parameters, `shared.${name}`),
        linear(name, input, options = {}) {
          const weight = matrices.get(name);
          const type = weights?.[name]?.type ?? "dense";
          if (weight?.onnx === undefined) throw unexported(`weights of the type "${type}" (${prefix}.${name})`);
          return weight.onnx(input, (local) => lookUp(parameters, `${prefix}.${name}.${local}`), options, graph);
        },
      });
    },
  };
}

/** Builds layer `index` of an encoder. */
export function createLayer(config: EncoderConfig, layer: LayerConfig, index: number): Layer {
  const { mixer, channel, residual, sharedWith } = layer;
  const { hiddenSize, normPosition, residualInit } = config;
  const prefix = `layers.${sharedWith ?? index}`;
  const zero = residualInit === "zero";
  const beside = layer.parallel && {
    settings: layer.parallel,
    bound: bindMixer(layer.parallel, hiddenSize, config),
  };
  const branches = [
    {
      name: "mixer",
      bound: bindMixer(mixer, hiddenSize, config),
      settings: mixer,
      hasNorm: layer.mixerNorm,
      rate: layer.mixerDropout ?? layer.dropout,
    },
    {
      name: "channel",
      bound: bindChannel(channel, hiddenSize, config),
      settings: channel,
      hasNorm: layer.channelNorm,
      rate: layer.dropout,
    },
  ]
    .filter(({ bound }) => !bound.absent)
    .map(({ name, bound, settings, hasNorm, rate }) => ({
      name,
      rate,
      heedsContext: bound.heedsContext === true,
      cacheWidth: bound.cacheWidth,
      norm: hasNorm ? `${prefix}.${name}Norm` : undefined,
      slot: slotOf(`${prefix}.${name}`, bound, settings, zero),
    }));
  const parallel =
    beside === undefined
      ? undefined
      : {
          norm: `${prefix}.parallelNorm`,
          slot: slotOf(`${prefix}.parallel`, beside.bound, beside.settings, zero),
        };
  const cacheWidths = [...branches.map(({ cacheWidth }) => cacheWidth), ...(beside ? [beside.bound.cacheWidth] : [])];
  const keeping = cacheWidths.filter((width) => width !== 0);
  const all = [...branches, ...(parallel === undefined ? [] : [parallel])];
  const own = all.flatMap(({ norm, slot }) => [
    ...slot.parameters,
    ...(norm === undefined ? [] : normSpecs(norm, hiddenSize, config)),
  ]);
  /** What the parallel branch makes of what the layer took, added to what the others gave. */
  function withParallel(taken: Tensor, given: Tensor, parameters: Parameters, context: SlotContext): Tensor {
    if (parallel === undefined) return given;
    const { norm, slot } = parallel;
    const { batch } = context;
    const norms = (input: Tensor, added?: Tensor): Tensor => normalize(input, parameters, norm, config, added);
    const branch = slot.forward(normPosition === "pre" ? norms(taken) : taken, parameters, context);
    const seen = batch.visible === undefined ? undefined : seenTokens(batch, batch.visible);
    const counted = seen === undefined ? branch : mul(branch, seen);
    const sum = normPosition === "pre" ? add(given, counted) : norms(counted, given);
    return seen === undefined ? sum : mul(sum, seen);
  }
  return {
    parameters: sharedWith === undefined ? own : [],
    shared: all.flatMap(({ slot }) => slot.shared),
    heedsContext:
      branches.every(({ heedsContext }) => heedsContext) &&
      (beside === undefined || beside.bound.heedsContext === true),
    cacheWidth: keeping.length > 1 ? undefined : keeping.length === 0 ? 0 : keeping[0],
    forward(x, parameters, context) {
      let state = x;
      for (const { name, slot, norm, rate } of branches) {
        const norms = (input: Tensor, added?: Tensor): Tensor => {
          if (norm !== undefined) return normalize(input, parameters, norm, config, added);
          return added === undefined ? input : add(input, added);
        };
        const before = normPosition === "pre" ? norms(state) : state;
        const branch = slot.forward(before, parameters, context);
        const dropped = context.training ? dropout(branch, rate, context.seed(name)) : branch;
        if (normPosition === "post") state = norms(dropped, residual ? state : undefined);
        else state = residual ? add(state, dropped) : dropped;
      }
      return withParallel(x, state, parameters, context);
    },
    plan(x, parameters, plan) {
      const normsOf =
        (norm: string | undefined) =>
        (input: PlanValue): PlanValue =>
          norm === undefined
            ? input
            : planNorm(input, (part) => lookUp(parameters, `${norm}.${part}`), config, plan.builder);
      let state = x;
      for (const { slot, norm } of branches) {
        const norms = normsOf(norm);
        const before = normPosition === "pre" ? norms(state) : state;
        const branch = slot.plan(before, parameters, plan, residual ? state : undefined);
        state = normPosition === "pre" ? branch : norms(branch);
      }
      if (parallel === undefined) return state;
      const norms = normsOf(parallel.norm);
      const sum = parallel.slot.plan(normPosition === "pre" ? norms(x) : x, parameters, plan, state);
      return normPosition === "pre" ? sum : norms(sum);
    },
    onnx(x, parameters, graph) {
      if (parallel !== undefined) throw unexported("branches beside the mixer and the channel");
      let state = x;
      for (const { slot, norm } of branches) {
        const norms = (input: OnnxValue): OnnxValue =>
          norm === undefined ? input : onnxNorm(input, (part) => lookUp(parameters, `${norm}.${part}`), config, graph);
        const branch = slot.onnx(normPosition === "pre" ? norms(state) : state, parameters, graph);
        const sum = residual ? graph.node("Add", [branch, state]) : branch;
        state = normPosition === "pre" ? sum : norms(sum);
      }
      return state;
    },
  };
}
