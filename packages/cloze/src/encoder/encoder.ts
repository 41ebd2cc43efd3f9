// The encoder: embeddings, then layers of slots.
import {
  checkpoint,
  noGrad,
  type PlanBatch,
  type PlanBuilder,
  type PlanValue,
  sameShape,
  scope,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import { checkContext, type EncoderBatch } from "./batch.js";
import { type EncoderConfig, type EncoderConfigInput, parseEncoderConfig } from "./config.js";
import { bindEmbeddings } from "./embeddings/index.js";
import { continuedBatch, type KeyValueCache } from "./key-value-cache.js";
import { createLayer, type Layer } from "./layer.js";
import { normalize, normSpecs, planNorm, unplanned } from "./norm.js";
import { type OnnxGraph, type OnnxValue, onnxNorm, unexported } from "./onnx.js";
import { createParameters, lookUp, type ParameterSource, prefixed } from "./parameters.js";
import type { ParameterSpec, PlanCondition } from "./part.js";
import { deriveSeed } from "./seeds.js";

export interface EncoderOptions {
  /** Dropout is on. Default false. */
  training?: boolean;
  /** What dropout depends on; take another one at each call. Default 0. */
  seed?: number;
  /** Also return what each layer took and gave. Default false. */
  hiddenStates?: boolean;
  /** Run the first so many layers only (a final norm follows all the same). Default: all. */
  depth?: number;
  /**
   * Begin at a layer, with what it takes [tokens, hidden] instead of embeddings: what an earlier pass to this depth gave (before
   * the final norm, where there is one). The caller keeps it. Default: at the embeddings.
   */
  resume?: { readonly layer: number; readonly hidden: Tensor };
  /**
   * Layers keep nothing for the backward pass but their inputs, and run again there (arXiv 1604.06174): less memory, a third
   * more work, the same gradients. Default false.
   */
  recompute?: boolean;
  /** Is shown what each matrix of the layers takes, by its path: `layers.0.mixer.queryKeyValue`. */
  observe?: (path: string, x: Tensor) => void;
  /**
   * The batch holds the new tokens of each sequence alone, which go on from those that the cache holds, and are kept in it;
   * their places are counted from there on. No gradient is recorded. Default: sequences are whole.
   */
  cache?: KeyValueCache;
  /** Also return what the routers of experts made of the batch. Default false. */
  routerLogits?: boolean;
}

export interface EncoderOutput {
  /** [tokens, hidden] */
  readonly hidden: Tensor;
  /** Embeddings, then the output of each layer; layers + 1 times [tokens, hidden]. The last one is `hidden`. */
  readonly hiddenStates?: readonly Tensor[];
  /** Beside hidden states: what the final norm took, where there is one. [tokens, hidden] */
  readonly beforeFinalNorm?: Tensor;
  /** Of each layer with a router, the first one first; where they were asked for. [units, experts] */
  readonly routerLogits?: readonly Tensor[];
}

export interface Encoder {
  readonly config: EncoderConfig;
  /** By Cloze's own names, such as `layers.0.mixer.queryKeyValue.weight`. */
  readonly parameters: Map<string, Tensor>;
  /** Numbers that each layer keeps of a token in a `KeyValueCache`. Undefined: a part needs the earlier tokens themselves. */
  readonly cacheWidths: readonly number[] | undefined;
  /**
   * Runs a packed batch. Gradients are recorded unless inside `noGrad`; what is made on the way is freed.
   *
   * @throws TOKEN_OUT_OF_RANGE, SEQUENCE_TOO_LONG, SEGMENT_OUT_OF_RANGE, BATCH_SHAPE, DEPTH_OUT_OF_RANGE, CONFIG_UNSUPPORTED,
   * INVALID_OPTION
   */
  forward(batch: EncoderBatch, options?: EncoderOptions): EncoderOutput;
  /**
   * Writes the forward pass into a plan. -> [tokens, hidden]
   *
   * @param conditions receives what the plan asks of batches; those that do not meet it all must run through `forward`
   * @throws PLAN_UNSUPPORTED naming the part that plans do not know
   */
  plan(builder: PlanBuilder, conditions?: PlanCondition[]): PlanValue;
  /** What a plan of this encoder takes for a batch. @throws what `forward` throws about batches */
  planBatch(batch: EncoderBatch): PlanBatch;
  /**
   * Writes the forward pass into an ONNX graph. -> [batch, sequence, hidden]
   *
   * @throws ONNX_UNSUPPORTED naming the part that the export does not know
   */
  onnx(graph: OnnxGraph): OnnxValue;
  /** Frees the parameters. */
  dispose(): void;
}

const finalNorm = "finalNorm";
const hasFinalNorm = (config: EncoderConfig): boolean => config.normPosition === "pre" && config.finalNorm;

/** Parameters that several layers share, each once. @throws CONFIG_INVALID where two layers want different ones */
function sharedSpecs(layers: readonly Layer[]): ParameterSpec[] {
  const byName = new Map<string, ParameterSpec>();
  for (const spec of layers.flatMap(({ shared }) => shared)) {
    const known = byName.get(spec.name);
    if (known !== undefined && !sameShape(known.shape, spec.shape)) {
      throw new ClozeError("CONFIG_INVALID", `The encoder: layers disagree about ${spec.name}, which they share`, {
        received: `[${known.shape.join(", ")}] and [${spec.shape.join(", ")}]`,
      });
    }
    byName.set(spec.name, spec);
  }
  return [...byName.values()];
}

function specsOf(config: EncoderConfig, layers: readonly Layer[]): ParameterSpec[] {
  return [
    ...prefixed("embeddings", bindEmbeddings(config.embeddings, config).parameters),
    ...sharedSpecs(layers),
    ...layers.flatMap(({ parameters }) => parameters),
    ...(hasFinalNorm(config) ? normSpecs(finalNorm, config.hiddenSize, config) : []),
  ];
}

const layersOf = (config: EncoderConfig): Layer[] =>
  config.layers.map((layer, index) => createLayer(config, layer, index));

/** The names, shapes and initial values of an encoder's parameters, without making them. */
export const encoderSpecs = (config: EncoderConfig): ParameterSpec[] => specsOf(config, layersOf(config));

/**
 * Makes an encoder: with new parameters by a seed, or with those that `load` gives (it hands them over).
 *
 * @throws CONFIG_INVALID, WEIGHT_SHAPE, and what `load` throws
 * @example
 * const encoder = createEncoder(uniformEncoder({ vocabularySize: 100, hiddenSize: 32, layers: 2, heads: 4 }), { seed: 1 });
 * const { hidden } = encoder.forward(packSequences([{ ids: [1, 2, 3] }])); // [3, 32]
 */
export function createEncoder(input: EncoderConfigInput, source: ParameterSource): Encoder {
  const config = parseEncoderConfig(input);
  const layers = layersOf(config);
  const embeddings = bindEmbeddings(config.embeddings, config);
  const parameters = createParameters(specsOf(config, layers), source, config.initializerRange);
  const ofEmbeddings = new Map(
    [...parameters].flatMap(([name, value]) =>
      name.startsWith("embeddings.") ? [[name.slice("embeddings.".length), value] as const] : [],
    ),
  );

  function check(batch: EncoderBatch): void {
    embeddings.check(batch);
    if (batch.context === undefined) return;
    checkContext(batch);
    const deaf = layers.findIndex(({ heedsContext }) => !heedsContext);
    if (deaf < 0) return;
    throw new ClozeError(
      "CONFIG_UNSUPPORTED",
      "A batch says which tokens are looked at, which this encoder does not heed",
      {
        expected: "layers whose mixer is attention, and whose experts, if any, are chosen by token",
        received: `layers.${deaf}: ${config.layers[deaf].mixer.type}, ${config.layers[deaf].channel.type}`,
        remedy: "Leave context out of the batch.",
      },
    );
  }

  const widths = layers.flatMap(({ cacheWidth }) => (cacheWidth === undefined ? [] : [cacheWidth]));

  function run(given: EncoderBatch, options: EncoderOptions) {
    const { training = false, seed = 0, hiddenStates = false, depth, resume, recompute = false, observe } = options;
    const { cache } = options;
    const batch = cache === undefined ? given : continuedBatch(given, cache, options);
    const routed: Tensor[] | undefined = options.routerLogits ? [] : undefined;
    const first = resume?.layer ?? 0;
    for (const count of [depth ?? layers.length, first]) {
      if (Number.isInteger(count) && count >= 0 && count <= layers.length) continue;
      throw new ClozeError("DEPTH_OUT_OF_RANGE", "The encoder has not so many layers", {
        expected: `0 to ${layers.length}`,
        received: String(count),
      });
    }
    check(batch);
    if (resume !== undefined && !sameShape(resume.hidden.shape, [batch.ids.length, config.hiddenSize])) {
      throw new ClozeError("BATCH_SHAPE", "Layers take one state for each token of the batch", {
        expected: `[${batch.ids.length}, ${config.hiddenSize}]`,
        received: `[${resume.hidden.shape.join(", ")}]`,
      });
    }
    const states: Tensor[] = [];
    const offsets = tensor(batch.offsets);
    const remembered = new Map<string, unknown>();
    const once = <T>(key: string, make: () => T): T => {
      if (!remembered.has(key)) remembered.set(key, make());
      return remembered.get(key) as T;
    };
    let state =
      resume?.hidden ??
      scope(() => embeddings.forward(batch, ofEmbeddings, training ? deriveSeed(seed, "embeddings") : undefined));
    layers.slice(first, depth).forEach((layer, at) => {
      const index = first + at;
      const before = state;
      if (hiddenStates) states.push(before);
      const forward = (x: Tensor, ends: Tensor): Tensor =>
        layer.forward(x, parameters, {
          batch,
          offsets: ends,
          training,
          cache: cache?.ofLayer(index),
          observe,
          observeRouter: routed && ((logits) => routed.push(logits)),
          seed: (place) => deriveSeed(seed, index, place),
          once,
        });
      // What a checkpoint makes on its way is not there to be returned.
      if (recompute && routed === undefined) state = checkpoint(forward, [before, offsets]);
      else [state] = scope(() => [forward(before, offsets), routed] as const);
      if (!hiddenStates && before !== resume?.hidden) before.dispose();
    });
    cache?.advance(batch);
    const hidden = hasFinalNorm(config) ? normalize(state, parameters, finalNorm, config) : state;
    const logits = routed === undefined ? {} : { routerLogits: routed };
    if (!hiddenStates) return { hidden, ...logits };
    states.push(hidden);
    return { hidden, hiddenStates: states, ...logits, ...(hasFinalNorm(config) ? { beforeFinalNorm: state } : {}) };
  }

  return {
    config,
    parameters,
    cacheWidths: embeddings.byToken && widths.length === layers.length ? widths : undefined,
    forward: (batch, options = {}) =>
      scope(() => (options.cache === undefined ? run(batch, options) : noGrad(() => run(batch, options)))),
    plan(builder, conditions = []) {
      if (embeddings.plan === undefined) throw unplanned(`embeddings of the type "${config.embeddings.type}"`);
      const first = embeddings.plan(ofEmbeddings, builder);
      const last = layers.reduce((state, layer) => layer.plan(state, parameters, { builder, conditions }), first);
      if (!hasFinalNorm(config)) return last;
      return planNorm(last, (part) => lookUp(parameters, `${finalNorm}.${part}`), config, builder);
    },
    planBatch(batch) {
      check(batch);
      return embeddings.planBatch?.(batch) ?? batch;
    },
    onnx(graph) {
      if (embeddings.onnx === undefined) throw unexported(`embeddings of the type "${config.embeddings.type}"`);
      const first = embeddings.onnx(ofEmbeddings, graph);
      const last = layers.reduce((state, layer) => layer.onnx(state, parameters, graph), first);
      if (!hasFinalNorm(config)) return last;
      return onnxNorm(last, (part) => lookUp(parameters, `${finalNorm}.${part}`), config, graph);
    },
    dispose() {
      for (const parameter of parameters.values()) parameter.dispose();
    },
  };
}
