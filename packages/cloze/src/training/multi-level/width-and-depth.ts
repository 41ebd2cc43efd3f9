// Smaller and larger copies of a model (multi-level training, arXiv 2404.07999): heads of a group become one head, layers of a
// group one layer (coalescing), and back (de-coalescing). Any stack of alike attention layers with an MLP or a gated MLP.
import { tensor } from "@cloze/tensor";
import { type EncoderConfig, parseEncoderConfig } from "../../encoder/config.js";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/index.js";
import { buildModel } from "../../families/model.js";

/** Which heads, and which layers, of the larger model stand for one of the smaller. */
export interface LevelScheme {
  /** As many in each group; each head once. Default: i with i + heads / 2. */
  readonly heads?: readonly (readonly number[])[];
  /** Each layer once. Default: neighbours, two by two. */
  readonly layers?: readonly (readonly number[])[];
}

type Groups = readonly (readonly number[])[];

/** new[i] = factor x the sum of old[sources[i]]. */
interface AxisMap {
  readonly sources: Groups;
  readonly factor: number;
}

const unsupported = (received: string, expected: string): ClozeError =>
  new ClozeError("MULTI_LEVEL_UNSUPPORTED", "This model has no smaller or larger copy", { expected, received });

function checkGroups(what: string, groups: Groups, count: number, alike: boolean): void {
  const all = groups.flat().sort((a, b) => a - b);
  const each = all.length === count && all.every((index, i) => index === i);
  if (each && groups.every(({ length }) => length > 0 && (!alike || length === groups[0].length))) return;
  throw new ClozeError("MULTI_LEVEL_SCHEME", `The scheme groups each of the ${what} once`, {
    expected: `0 to ${count - 1}${alike ? ", as many in each group" : ""}`,
    received: JSON.stringify(groups),
  });
}

interface Sizes {
  readonly heads: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  /** Parts of the channel's first matrix that stand one below the other: 2 where it is gated. */
  readonly inputs: number;
}

/** The sizes of a homogeneous stack. @throws MULTI_LEVEL_UNSUPPORTED */
function sizesOf({ layers, hiddenSize, embeddings }: EncoderConfig): Sizes {
  const [first] = layers;
  if (first === undefined) throw unsupported("no layers", "layers that are alike");
  const { mixer, channel } = first;
  if (mixer.type !== "attention") throw unsupported(`a mixer "${mixer.type}"`, 'mixers of the type "attention"');
  if (channel.type !== "mlp" && channel.type !== "gated-mlp") {
    throw unsupported(`a channel "${channel.type}"`, 'channels of the type "mlp" or "gated-mlp"');
  }
  const odd = layers.find((layer) => {
    const { mixer: one, channel: two } = layer;
    const same = one.type === "attention" && one.heads === mixer.heads && two.type === channel.type;
    return !same || layer.parallel !== undefined || layer.sharedWith !== undefined;
  });
  if (odd !== undefined) throw unsupported("layers that differ", "layers that are alike, each with its own parameters");
  if (embeddings.type !== "tokens" || (embeddings.size ?? hiddenSize) !== hiddenSize) {
    throw unsupported("embeddings of another width", "embeddings as wide as the layers");
  }
  if ((mixer.headSize ?? hiddenSize / mixer.heads) * mixer.heads !== hiddenSize) {
    throw unsupported("heads that are together wider than the layers", "heads x head size = hidden size");
  }
  const { intermediateSize } = channel;
  if (intermediateSize % mixer.heads !== 0) {
    throw unsupported(`${intermediateSize} inner dimensions`, `a multiple of ${mixer.heads} heads`);
  }
  return {
    heads: mixer.heads,
    hidden: hiddenSize,
    intermediate: intermediateSize,
    layers: layers.length,
    inputs: channel.type === "gated-mlp" ? 2 : 1,
  };
}

/** The default scheme: half of the heads (i with i + heads / 2), half of the layers (neighbours). */
export function halfScheme(config: EncoderConfig): Required<LevelScheme> {
  const { heads, layers } = sizesOf(config);
  if (heads % 2 !== 0 || layers % 2 !== 0) {
    throw unsupported(`${heads} heads, ${layers} layers`, "even numbers of both, or a scheme");
  }
  return {
    heads: Array.from({ length: heads / 2 }, (_, i) => [i, i + heads / 2]),
    layers: Array.from({ length: layers / 2 }, (_, i) => [2 * i, 2 * i + 1]),
  };
}

/**
 * Refuses a model that has no smaller copies, before anything is computed.
 *
 * @throws MULTI_LEVEL_UNSUPPORTED
 */
export function checkLevels(config: EncoderConfig, levels: number): void {
  let { heads, layers } = sizesOf(config);
  for (let level = 1; level < levels; level++) {
    if (heads % 2 !== 0 || layers % 2 !== 0) {
      throw unsupported(`${heads} heads, ${layers} layers`, `even numbers of both at level ${level}`);
    }
    [heads, layers] = [heads / 2, layers / 2];
  }
}

/** Groups of units from groups of blocks of `size` units; `times` of them one below the other. */
function unitGroups(groups: Groups, size: number, times = 1): number[][] {
  const blocks = groups.flat().length;
  return Array.from({ length: times }, (_, t) =>
    groups.flatMap((group) =>
      Array.from({ length: size }, (_, unit) => group.map((block) => (t * blocks + block) * size + unit)),
    ),
  ).flat();
}

/** For each old unit the new one that stands for it. */
const inverse = (groups: Groups): number[][] => {
  const owner: number[][] = [];
  groups.forEach((group, i) => {
    for (const unit of group) owner[unit] = [i];
  });
  return owner;
};

/** How axes change: as outputs, as inputs, and as columns of embedding tables. */
interface AxisMaps {
  output(axis: Axis): AxisMap;
  input(axis: Axis): AxisMap;
  table(axis: Axis): AxisMap;
}
type Axis = "hidden" | "queryKeyValue" | "inner" | "intermediate" | "channelInput";

/** Averages outputs and sums inputs; or copies outputs and divides inputs. */
function axisMaps(groups: Record<Axis, Groups>, grow: boolean, g: number): AxisMaps {
  const map = (axis: Axis, small: number, large: number): AxisMap =>
    grow ? { sources: inverse(groups[axis]), factor: large } : { sources: groups[axis], factor: small };
  return {
    output: (axis) => map(axis, 1 / g, 1),
    input: (axis) => map(axis, 1, 1 / g),
    // The mean, times g; or a copy, divided by g.
    table: (axis) => map(axis, 1, 1 / g),
  };
}

/** What happens to the axes of a parameter; undefined: it stays. */
function mapsOf(name: string, maps: AxisMaps, plainTable: boolean): (AxisMap | undefined)[] {
  const out = maps.output;
  const into = maps.input;
  const rules: [RegExp, () => (AxisMap | undefined)[]][] = [
    [
      /^encoder\.embeddings\.(word|position|segment)\.weight$/,
      () => [undefined, plainTable ? out("hidden") : maps.table("hidden")],
    ],
    [/(embeddings\.norm|mixerNorm|channelNorm|finalNorm)\.(weight|bias)$/, () => [out("hidden")]],
    [/mixer\.queryKeyValue\.weight$/, () => [out("queryKeyValue"), into("hidden")]],
    [/mixer\.queryKeyValue\.bias$/, () => [out("queryKeyValue")]],
    [/mixer\.output\.weight$/, () => [out("hidden"), into("inner")]],
    [/channel\.input\.weight$/, () => [out("channelInput"), into("hidden")]],
    [/channel\.input\.bias$/, () => [out("channelInput")]],
    [/channel\.output\.weight$/, () => [out("hidden"), into("intermediate")]],
    [/(mixer|channel)\.output\.bias$/, () => [out("hidden")]],
    [/^head\.(transform|pooler)\.weight$/, () => [out("hidden"), into("hidden")]],
    [/^head\.(transform|pooler)(Norm)?\.(weight|bias)$/, () => [out("hidden")]],
    [/^head\.(decoder|classifier|nextSentence|span)\.weight$/, () => [undefined, into("hidden")]],
    [/^head\.(decoder|classifier|nextSentence|span)\.bias$/, () => [undefined]],
  ];
  const found = rules.find(([pattern]) => pattern.test(name));
  if (found === undefined) throw unsupported(`a parameter ${name}`, "parameters that the method knows");
  return found[1]();
}

/** Applies a map to one axis of [rows, columns]. */
function mapAxis(data: Float64Array, shape: number[], axis: number, { sources, factor }: AxisMap): Float64Array {
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const result = new Float64Array(outer * sources.length * inner);
  for (let o = 0; o < outer; o++) {
    sources.forEach((from, i) => {
      const to = (o * sources.length + i) * inner;
      for (const source of from) {
        const at = (o * shape[axis] + source) * inner;
        for (let k = 0; k < inner; k++) result[to + k] += factor * data[at + k];
      }
    });
  }
  shape[axis] = sources.length;
  return result;
}

/** The norm (or dense layer) right before a tied decoder, whose outputs take a factor where the table cannot. */
function beforeDecoder({ head }: Model): RegExp | undefined {
  const { config } = head;
  if (!("tied" in config) || !config.tied) return undefined;
  if (config.transform === null) return /^encoder\.finalNorm\.(weight|bias)$/;
  return config.transform.norm ? /^head\.transformNorm\.(weight|bias)$/ : /^head\.transform\.(weight|bias)$/;
}

function changeLevel(model: Model, scheme: Required<LevelScheme>, grow: boolean): Model {
  const sizes = sizesOf(model.config);
  const { heads: headGroups, layers: layerGroups } = scheme;
  const g = headGroups[0]?.length ?? 0;
  const large = grow ? { heads: sizes.heads * g, layers: layerGroups.flat().length } : sizes;
  checkGroups("heads", headGroups, large.heads, true);
  checkGroups("layers", layerGroups, large.layers, false);
  const small = grow ? sizes : { heads: headGroups.length, layers: layerGroups.length };
  if (headGroups.length !== small.heads || layerGroups.length !== small.layers) {
    throw new ClozeError("MULTI_LEVEL_SCHEME", "The scheme has a group for each head and layer of the smaller model", {
      expected: `${small.heads} groups of heads, ${small.layers} of layers`,
      received: `${headGroups.length} and ${layerGroups.length}`,
    });
  }
  const headSize = sizes.hidden / sizes.heads;
  const block = sizes.intermediate / sizes.heads;
  const maps = axisMaps(
    {
      hidden: unitGroups(headGroups, headSize),
      inner: unitGroups(headGroups, headSize),
      queryKeyValue: unitGroups(headGroups, headSize, 3),
      intermediate: unitGroups(headGroups, block),
      channelInput: unitGroups(headGroups, block, sizes.inputs),
    },
    grow,
    g,
  );
  const { config } = model;
  // Without a norm behind the embeddings, dividing the table would change the function: the last norm is divided instead.
  const plainTable = config.embeddings.type === "tokens" && !config.embeddings.norm && config.normPosition === "pre";
  const last = plainTable ? beforeDecoder(model) : undefined;
  const width = (name: string): { data: Float64Array; shape: number[] } => {
    const parameter = model.parameters.get(name);
    if (parameter === undefined) throw unsupported(`no parameter ${name}`, "a whole model");
    const shape = [...parameter.shape];
    let data: Float64Array = Float64Array.from(parameter.toTypedArray() as Float32Array);
    mapsOf(name, maps, plainTable).forEach((map, axis) => {
      if (map !== undefined) data = mapAxis(data, shape, axis, map);
    });
    if (last?.test(name)) data = data.map((x) => (grow ? x / g : x * g));
    return { data, shape };
  };
  const ratio = grow ? g : 1 / g;
  const layers = Array.from({ length: grow ? large.layers : layerGroups.length }, (_, t) =>
    grow ? layerGroups.findIndex((group) => group.includes(t)) : layerGroups[t][0],
  ).map((index) => {
    const layer = config.layers[index];
    const { mixer, channel } = layer;
    if (mixer.type !== "attention" || (channel.type !== "mlp" && channel.type !== "gated-mlp")) return layer;
    return {
      ...layer,
      mixer: { ...mixer, heads: mixer.heads * ratio },
      channel: { ...channel, intermediateSize: channel.intermediateSize * ratio },
    };
  });
  const changed = parseEncoderConfig({ ...config, hiddenSize: sizes.hidden * ratio, layers });
  const load = (part: string) => (name: string) => {
    const found = /^layers\.(\d+)\.(.*)$/.exec(name);
    const names =
      found === null
        ? [`${part}.${name}`]
        : (grow
            ? [layerGroups.findIndex((group) => group.includes(Number(found[1])))]
            : layerGroups[Number(found[1])]
          ).map((source) => `${part}.layers.${source}.${found[2]}`);
    const sources = names.map(width);
    const [{ data, shape }] = sources;
    const mean = data.map((_, i) => sources.reduce((sum, source) => sum + source.data[i], 0) / sources.length);
    return tensor(Float32Array.from(mean), shape);
  };
  return buildModel(changed, model.head.config, { load: load("encoder") }, { load: load("head") });
}

const whole = (config: EncoderConfig, scheme: LevelScheme): Required<LevelScheme> =>
  scheme.heads !== undefined && scheme.layers !== undefined
    ? { heads: scheme.heads, layers: scheme.layers }
    : { ...halfScheme(config), ...scheme };

/**
 * A smaller model: heads of a group are averaged where they give and summed where they take, layers are averaged.
 *
 * @returns a model of its own; the one given stays
 * @throws MULTI_LEVEL_UNSUPPORTED, MULTI_LEVEL_SCHEME
 * @example
 * const small = coalesce(model, { heads: [[0, 2], [1, 3]], layers: [[0, 1], [2, 3]] });
 */
export const coalesce = (model: Model, scheme: LevelScheme = {}): Model =>
  changeLevel(model, whole(model.config, scheme), false);

/**
 * A larger model by the scheme that made the smaller one: heads and layers become copies of what stands for them. With one
 * layer for each, the function stays what it was.
 *
 * @throws MULTI_LEVEL_UNSUPPORTED, MULTI_LEVEL_SCHEME
 */
export const decoalesce = (model: Model, scheme: Required<LevelScheme>): Model => changeLevel(model, scheme, true);
