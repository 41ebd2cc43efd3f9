// From pixels to vectors: an image is cut into patches, and each patch is a token (ViT, arXiv 2010.11929).
import {
  add,
  concat,
  contiguous,
  dropout,
  linear,
  type PlanBatch,
  permute,
  reshape,
  scope,
  slice,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import { patchGrid } from "../../data/image-batch.js";
import { ClozeError } from "../../errors.js";
import type { EncoderBatch } from "../batch.js";
import type { OnnxGraph, OnnxValue } from "../onnx.js";
import { lookUp } from "../parameters.js";
import { defineEmbeddings, type ParameterSpec } from "../part.js";

const size = z.tuple([z.int().min(1), z.int().min(1)]);

const schema = z.strictObject({
  type: z.literal("patches"),
  /** Height and width in pixels. */
  imageSize: size,
  /** Height and width of a patch; pixels at the right and lower edge that fill no patch are left out. */
  patchSize: size.default([16, 16]),
  channels: z.int().min(1).default(3),
  /** A token that stands for the image comes before the patches. */
  classToken: z.boolean().default(true),
  /** There is a vector for patches whose id is 1, which the model is not shown. */
  maskToken: z.boolean().default(false),
  /** "learned": a vector is added for each place. */
  positions: z.enum(["learned", "none"]).default("learned"),
  dropout: z.number().min(0).lt(1).default(0),
});
type Config = z.output<typeof schema>;

/** Tokens of an image. */
function lengthOf(config: Config): number {
  const [rows, columns] = patchGrid(config);
  if (rows * columns >= 1) return rows * columns + Number(config.classToken);
  throw new ClozeError("CONFIG_INVALID", "patches: a patch is larger than the image", {
    received: `patches of ${config.patchSize.join(" x ")}, images of ${config.imageSize.join(" x ")}`,
  });
}

function checkBatch({ ids, positions, offsets, values }: EncoderBatch, config: Config): void {
  const images = offsets.length - 1;
  const length = lengthOf(config);
  const pixels = config.channels * config.imageSize[0] * config.imageSize[1];
  const remedy = "Build batches with packImages.";
  if (values?.length !== images * pixels) {
    throw new ClozeError("BATCH_SHAPE", "A batch of images has the pixels of each", {
      expected: `${images} x ${config.channels} x ${config.imageSize.join(" x ")} values`,
      received: values === undefined ? "no values" : String(values.length),
      remedy,
    });
  }
  const whole =
    ids.length === images * length &&
    positions.length === ids.length &&
    offsets.every((offset, image) => offset === image * length) &&
    positions.every((place, token) => place === token % length);
  if (!whole) {
    throw new ClozeError("BATCH_SHAPE", "Each image has a token for each of its patches, in their order", {
      expected: `${images} images of ${length} tokens`,
      received: `${ids.length} tokens, offsets ${offsets.slice(0, 4).join(", ")}`,
      remedy,
    });
  }
  const wrong = ids.findIndex(
    (id, token) => id !== 0 && !(id === 1 && config.maskToken && (positions[token] > 0 || !config.classToken)),
  );
  if (wrong >= 0) {
    throw new ClozeError("TOKEN_OUT_OF_RANGE", "The id of a patch is 0, or 1 where it is masked", {
      expected: config.maskToken ? "0 or 1" : "0: this model has no mask token",
      received: String(ids[wrong]),
    });
  }
}

/** The pixels of each patch side by side. -> [images x patches, channels x height x width] */
function unfold(values: Float32Array, images: number, config: Config): Tensor {
  const { channels, imageSize, patchSize } = config;
  const [rows, columns] = patchGrid(config);
  const [height, width] = patchSize;
  const all = tensor(values, [images, channels, ...imageSize]);
  const used = slice(all, [{}, {}, { end: rows * height }, { end: columns * width }]);
  const cut = reshape(used, [images, channels, rows, height, columns, width]);
  return reshape(contiguous(permute(cut, [0, 2, 4, 1, 3, 5])), [images * rows * columns, channels * height * width]);
}

/** The same in an ONNX graph. -> [images, patches, channels x height x width] */
function onnxUnfold(pixels: OnnxValue, config: Config, graph: OnnxGraph): OnnxValue {
  const { channels, imageSize, patchSize } = config;
  const [rows, columns] = patchGrid(config);
  const [height, width] = patchSize;
  const used = [rows * height, columns * width].reduce(
    (x, size, i) => (size === imageSize[i] ? x : graph.split(x, [size, imageSize[i] - size], 2 + i)[0]),
    pixels,
  );
  const cut = graph.node("Reshape", [used, graph.integers([0, channels, rows, height, columns, width])]);
  const turned = graph.node("Transpose", [cut], { perm: [0, 2, 4, 1, 3, 5] });
  return graph.node("Reshape", [turned, graph.integers([0, rows * columns, channels * height * width])]);
}

/** The row that a token takes: of the patches, or behind them of the token of the image and of masked patches. */
function tokenRows({ ids, positions }: EncoderBatch, { classToken, maskToken }: Config, patches: number): Int32Array {
  let patch = 0;
  return ids.map((id, token) => {
    if (classToken && positions[token] === 0) return patches;
    const own = patch++;
    return maskToken && id === 1 ? patches + Number(classToken) : own;
  });
}

/** Rows beside the projection: what is added to a patch, to the token of the image, to a masked patch. */
const rowNames = ({ classToken, maskToken }: Config): string[] => [
  "projection.bias",
  ...(classToken ? ["class"] : []),
  ...(maskToken ? ["mask"] : []),
];

/** What a plan takes: the pixels of each token that shows some, zeros for the others, and which row is added to it. */
function planTokens(batch: EncoderBatch, config: Config): PlanBatch {
  const { channels, patchSize, classToken, maskToken } = config;
  const pixels = scope(
    () => unfold(batch.values as Float32Array, batch.offsets.length - 1, config).toTypedArray() as Float32Array,
  );
  const width = channels * patchSize[0] * patchSize[1];
  const values = new Float32Array(batch.ids.length * width);
  const ids = new Int32Array(batch.ids.length);
  let patch = 0;
  ids.forEach((_, token) => {
    if (classToken && batch.positions[token] === 0) {
      ids[token] = 1;
      return;
    }
    const own = patch++;
    if (maskToken && batch.ids[token] === 1) ids[token] = 1 + Number(classToken);
    else values.set(pixels.subarray(own * width, (own + 1) * width), token * width);
  });
  return { ...batch, ids, values };
}

/** A matrix over the pixels of each patch, learned positions (or none), and vectors for the image and for masked patches. */
export const patches = defineEmbeddings({
  schema,
  bind(config, { hiddenSize }) {
    const { channels, patchSize, classToken, maskToken } = config;
    const placed = config.positions === "learned";
    const length = lengthOf(config);
    const vector = (name: string, initial: "normal" | "zeros"): ParameterSpec => ({
      name,
      shape: [hiddenSize],
      initial,
    });
    return {
      parameters: [
        { name: "projection.weight", shape: [hiddenSize, channels * patchSize[0] * patchSize[1]], initial: "normal" },
        vector("projection.bias", "zeros"),
        ...(classToken ? [vector("class", "normal")] : []),
        ...(maskToken ? [vector("mask", "zeros")] : []),
        ...(placed ? [{ name: "position.weight", shape: [length, hiddenSize], initial: "normal" as const }] : []),
      ],
      wordWidth: 0,
      ...(placed ? {} : { unordered: true as const }),
      grid: patchGrid(config),
      check: (batch) => checkBatch(batch, config),
      forward(batch, parameters, dropoutSeed) {
        const named = (name: string): Tensor => lookUp(parameters, name);
        const images = batch.offsets.length - 1;
        const pixels = unfold(batch.values as Float32Array, images, config);
        const vectors = linear(pixels, named("projection.weight"), named("projection.bias"));
        const extra = ["class", "mask"].filter((name) => (name === "class" ? classToken : maskToken));
        const rows = concat([vectors, ...extra.map((name) => reshape(named(name), [1, hiddenSize]))], 0);
        const tokens = take(rows, tensor(tokenRows(batch, config, pixels.shape[0])));
        const state = placed ? add(tokens, take(named("position.weight"), tensor(batch.positions))) : tokens;
        return dropoutSeed === undefined ? state : dropout(state, config.dropout, dropoutSeed);
      },
      plan(parameters, builder) {
        const named = (name: string): Tensor => lookUp(parameters, name);
        const added = concat(
          rowNames(config).map((name) => reshape(named(name), [1, hiddenSize])),
          0,
        );
        const { ids, positions } = builder.inputs;
        const row = builder.take(added, ids);
        const residual = placed ? builder.add(row, builder.take(named("position.weight"), positions)) : row;
        const pixels = builder.tokenValues(channels * patchSize[0] * patchSize[1]);
        return builder.linear(pixels, named("projection.weight"), undefined, { residual });
      },
      planBatch: (batch) => planTokens(batch, config),
      // No patch is hidden: that is for pre-training.
      onnx(parameters, graph) {
        const named = (name: string): Tensor => lookUp(parameters, name);
        const pixels = graph.pixels([channels, ...config.imageSize], length);
        const vectors = graph.linear(
          onnxUnfold(pixels, config, graph),
          named("projection.weight"),
          named("projection.bias"),
        );
        let state = vectors;
        if (classToken) {
          const images = graph.node("Gather", [graph.node("Shape", [pixels]), graph.integers([0])], { axis: 0 });
          const shape = graph.node("Concat", [images, graph.integers([1, hiddenSize])], { axis: 0 });
          const first = graph.node("Expand", [graph.parameter(named("class")), shape]);
          state = graph.node("Concat", [first, vectors], { axis: 1 });
        }
        return placed ? graph.node("Add", [state, graph.parameter(named("position.weight"))]) : state;
      },
    };
  },
});
