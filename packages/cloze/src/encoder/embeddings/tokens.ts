// From ids to vectors: words, positions and segments, added up.
import {
  add,
  dropout,
  linear,
  mul,
  type PlanValue,
  slice,
  sub,
  type Tensor,
  take,
  takeGated,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import { randomSource } from "../../data/random-source.js";
import { ClozeError } from "../../errors.js";
import { type EncoderBatch, seenTokens } from "../batch.js";
import { normalize, normSpecs, planNorm } from "../norm.js";
import { type OnnxGraph, type OnnxValue, onnxNorm, onnxPlaces } from "../onnx.js";
import { lookUp } from "../parameters.js";
import { defineEmbeddings, type EncoderFrame, type ParameterSpec } from "../part.js";
import { deriveSeed } from "../seeds.js";

const rate = z.number().min(0).lt(1);

const schema = z.strictObject({
  type: z.literal("tokens").default("tokens"),
  /** "learned": a vector is added; "gated": the word's vector is multiplied, dimension by dimension. */
  positions: z.enum(["learned", "gated", "none"]).default("learned"),
  /** The row of the first token in the table of positions; the rows before it are not for tokens that are read. */
  positionOffset: z.int().min(0).default(0),
  /** A padding token stands at the row before the first (as RoBERTa has it), whatever its place. */
  paddingPosition: z.boolean().default(false),
  /** Width of the tables; where it is not the hidden size, a matrix maps one to the other. Default: the hidden size. */
  size: z.int().min(1).optional(),
  /**
   * Where that matrix stands. "none": there is none, and the tables are as wide as the encoder. Default: "after-dropout"
   * (as ALBERT and ELECTRA have it) where the widths differ.
   */
  projection: z.enum(["none", "before-norm", "after-norm", "after-dropout"]).optional(),
  projectionBias: z.boolean().default(true),
  /** What the vectors of words are multiplied by. */
  wordScale: z.number().positive().default(1),
  norm: z.boolean().default(true),
  /** Padding that is not seen gets the vector 0 (DeBERTa). */
  zeroPadding: z.boolean().default(false),
  /** The word table has a row for padding, which no token's gradient reaches. */
  paddingRow: z.boolean().default(true),
  dropout: rate.default(0.1),
  /** Share of whole words that are left out while training (their vector is 0). */
  wordDropout: rate.default(0),
  /** The optimizer visits only rows of the word table that a step touched. */
  sparse: z.boolean().default(false),
  /** A vector is added to every token: row 0 of a table of so many task types (ERNIE 2.0); 0: there is none. */
  taskVocabularySize: z.int().min(0).default(0),
});
type Config = z.output<typeof schema>;

const widthOf = ({ size }: Config, { hiddenSize }: EncoderFrame): number => size ?? hiddenSize;
const projectionOf = (config: Config, encoder: EncoderFrame): NonNullable<Config["projection"]> =>
  config.projection ?? (widthOf(config, encoder) === encoder.hiddenSize ? "none" : "after-dropout");

function specs(config: Config, encoder: EncoderFrame): ParameterSpec[] {
  const { vocabularySize, hiddenSize, maxPositions, segmentVocabularySize } = encoder;
  const width = widthOf(config, encoder);
  const projection = projectionOf(config, encoder);
  if (projection === "none" && width !== hiddenSize) {
    throw new ClozeError("CONFIG_INVALID", "embeddings: without a projection, the tables are as wide as the encoder", {
      expected: String(hiddenSize),
      received: String(width),
    });
  }
  const table = (
    name: string,
    rows: number,
    { sparseRows = false, initial = "normal" }: Partial<Pick<ParameterSpec, "sparseRows" | "initial">> = {},
  ): ParameterSpec => ({ name: `${name}.weight`, shape: [rows, width], initial, sparseRows });
  const rows = maxPositions + config.positionOffset;
  const normWidth = projection === "before-norm" ? hiddenSize : width;
  return [
    table("word", vocabularySize, { sparseRows: config.sparse }),
    ...(config.positions === "learned" ? [table("position", rows)] : []),
    ...(config.positions === "gated" ? [table("gate", rows, { initial: "ones" })] : []),
    ...(segmentVocabularySize > 0 ? [table("segment", segmentVocabularySize)] : []),
    ...(config.taskVocabularySize > 0 ? [table("task", config.taskVocabularySize)] : []),
    ...(config.norm ? normSpecs("norm", normWidth, encoder) : []),
    ...(projection === "none"
      ? []
      : [
          { name: "projection.weight", shape: [hiddenSize, width], initial: "normal" as const },
          ...(config.projectionBias
            ? [{ name: "projection.bias", shape: [hiddenSize], initial: "zeros" as const }]
            : []),
        ]),
  ];
}

function checkRange(ids: Int32Array, size: number, code: string, message: string, remedy: string): void {
  for (const id of ids) {
    if (id >= 0 && id < size) continue;
    throw new ClozeError(code, message, { expected: `0 to ${size - 1}`, received: String(id), remedy });
  }
}

function checkBatch(batch: EncoderBatch, config: Config, encoder: EncoderFrame): void {
  const { ids, segments, positions, offsets } = batch;
  const tokens = ids.length;
  if (segments.length !== tokens || positions.length !== tokens || offsets[offsets.length - 1] !== tokens) {
    throw new ClozeError("BATCH_SHAPE", "Ids, segments and positions are as many as the last offset says", {
      received: `${tokens} ids, ${segments.length} segments, ${positions.length} positions, end ${offsets[offsets.length - 1]}`,
      remedy: "Build batches with packSequences.",
    });
  }
  checkRange(
    ids,
    encoder.vocabularySize + (batch.extraWords?.shape[0] ?? 0),
    "TOKEN_OUT_OF_RANGE",
    "A token id lies outside the model's vocabulary",
    "The tokenizer does not belong to this model.",
  );
  if (config.positions !== "none") {
    checkRange(
      positions,
      encoder.maxPositions,
      "SEQUENCE_TOO_LONG",
      "A sequence is longer than the model's positions",
      "Truncate texts to the model's longest sequence.",
    );
  }
  if (encoder.segmentVocabularySize > 0) {
    checkRange(
      segments,
      encoder.segmentVocabularySize,
      "SEGMENT_OUT_OF_RANGE",
      "A segment lies outside the model's segments",
      "Give one text instead of a pair, or another model.",
    );
  }
}

/** Rows of a table. Padding that is not seen gets its row, but does not train it (as in PyTorch). -> [tokens, width] */
function rowsWithPadding(table: Tensor, indices: Int32Array, { ids, visible }: EncoderBatch, padId: number | null) {
  const rows = take(table, tensor(indices));
  if (visible === undefined || padId === null || !ids.includes(padId)) return rows;
  const trained = tensor(
    Float32Array.from(ids, (id) => Number(id !== padId)),
    [ids.length, 1],
  );
  return add(mul(rows, trained), mul(rows.detach(), sub(1, trained)));
}

/** Rows of the word table, and for ids beyond it of the batch's extra words. -> [tokens, width] */
function wordRows(table: Tensor, batch: EncoderBatch, padId: number | null): Tensor {
  const { ids, extraWords } = batch;
  if (extraWords === undefined) return rowsWithPadding(table, ids, batch, padId);
  const [count] = table.shape;
  const own = tensor(
    Float32Array.from(ids, (id) => Number(id < count)),
    [ids.length, 1],
  );
  const known = ids.map((id) => (id < count ? id : 0));
  const extra = ids.map((id) => (id < count ? 0 : id - count));
  return add(mul(take(table, tensor(known)), own), mul(take(extraWords, tensor(extra)), sub(1, own)));
}

/** The row of the table of positions for each token. */
function positionRows(
  { ids, positions, offsets }: Pick<EncoderBatch, "ids" | "positions" | "offsets">,
  config: Config,
  padId: number | null,
): Int32Array {
  const { positionOffset, paddingPosition } = config;
  if (positionOffset === 0) return positions;
  if (!paddingPosition || padId === null || !ids.includes(padId)) {
    return positions.map((place) => place + positionOffset);
  }
  // As RoBERTa counts: tokens that are no padding, wherever padding stands.
  const rows = new Int32Array(positions.length);
  for (let s = 0; s + 1 < offsets.length; s++) {
    for (let i = offsets[s], padding = 0; i < offsets[s + 1]; i++) {
      if (ids[i] === padId) padding++;
      rows[i] = positionOffset + (ids[i] === padId ? -1 : positions[i] - padding);
    }
  }
  return rows;
}

/** The same in an ONNX graph. int64 [sequence] or [batch, sequence] */
function onnxPositionRows({ positionOffset, paddingPosition }: Config, padId: number | null, graph: OnnxGraph) {
  if (positionOffset === 0) return onnxPlaces(graph);
  if (!paddingPosition || padId === null) {
    return graph.node("Add", [onnxPlaces(graph), graph.integers(positionOffset)]);
  }
  // As RoBERTa counts: tokens that are no padding.
  const padding = graph.node("Equal", [graph.input("input_ids"), graph.integers(padId)]);
  const counted = graph.node("Cast", [graph.node("Not", [padding])], { to: 7 });
  const places = graph.node("Mul", [graph.node("CumSum", [counted, graph.integers(1)]), counted]);
  return graph.node("Add", [places, graph.integers(positionOffset - 1)]);
}

/** Words, positions and segments (arXiv 1810.04805), with or without a norm, a projection, gates. */
export const tokens = defineEmbeddings({
  schema,
  bind: (config, encoder) => ({
    ...(config.positions === "none" ? { unordered: true as const } : {}),
    // Places that count no padding depend on the tokens before.
    ...(config.positions !== "none" && config.paddingPosition && encoder.padId !== null
      ? {}
      : { byToken: true as const }),
    parameters: specs(config, encoder),
    wordWidth: widthOf(config, encoder),
    check: (batch) => checkBatch(batch, config, encoder),
    forward(batch, parameters, dropoutSeed) {
      const { padId, segmentVocabularySize } = encoder;
      const named = (name: string): Tensor => lookUp(parameters, name);
      const rows = (name: string, indices: Int32Array): Tensor => take(named(`${name}.weight`), tensor(indices));
      const places = positionRows(batch, config, padId);
      const dropRows = dropoutSeed === undefined ? 0 : config.wordDropout;
      const wordSeed = deriveSeed(dropoutSeed ?? 0, "words");
      const wordVectors = (): Tensor => {
        if (config.positions === "gated") {
          return takeGated(named("word.weight"), tensor(batch.ids), named("gate.weight"), tensor(places), {
            dropRows,
            seed: wordSeed,
          });
        }
        const all = wordRows(named("word.weight"), batch, config.paddingRow ? padId : null);
        if (dropRows === 0) return all;
        const random = randomSource(wordSeed);
        const mask = Float32Array.from({ length: batch.ids.length }, () => Number(random() >= dropRows));
        return mul(all, tensor(mask, [batch.ids.length, 1]));
      };
      const projection = projectionOf(config, encoder);
      const project = (x: Tensor): Tensor =>
        linear(x, named("projection.weight"), config.projectionBias ? named("projection.bias") : undefined);
      const words = wordVectors();
      const summands = [config.wordScale === 1 ? words : mul(words, config.wordScale)];
      if (segmentVocabularySize > 0) summands.push(rows("segment", batch.segments));
      if (config.taskVocabularySize > 0) summands.push(rows("task", new Int32Array(batch.ids.length)));
      if (config.positions === "learned") {
        summands.push(
          config.paddingPosition
            ? rowsWithPadding(named("position.weight"), places, batch, padId)
            : rows("position", places),
        );
      }
      let state: Tensor;
      if (!config.norm || projection === "before-norm") {
        state = summands.reduce(add);
        if (projection === "before-norm") state = project(state);
        if (config.norm) state = normalize(state, parameters, "norm", encoder);
      } else {
        // The last addition happens inside the norm.
        const last = summands.length > 1 ? summands.pop() : undefined;
        state = normalize(summands.reduce(add), parameters, "norm", encoder, last);
      }
      if (config.zeroPadding && batch.visible !== undefined) state = mul(state, seenTokens(batch, batch.visible));
      if (projection === "after-norm") state = project(state);
      if (dropoutSeed !== undefined) state = dropout(state, config.dropout, dropoutSeed);
      return projection === "after-dropout" ? project(state) : state;
    },
    plan(parameters, builder) {
      const named = (name: string): Tensor => lookUp(parameters, name);
      const { ids, segments, positions } = builder.inputs;
      const projection = projectionOf(config, encoder);
      const project = (x: PlanValue): PlanValue =>
        builder.linear(x, named("projection.weight"), config.projectionBias ? named("projection.bias") : undefined);
      const norm = (x: PlanValue): PlanValue =>
        config.norm ? planNorm(x, (part) => named(`norm.${part}`), encoder, builder) : x;
      let state =
        config.positions === "gated"
          ? builder.takeGated(named("word.weight"), ids, named("gate.weight"), positions)
          : builder.take(named("word.weight"), ids);
      if (config.wordScale !== 1) state = builder.scale(state, config.wordScale);
      if (encoder.segmentVocabularySize > 0)
        state = builder.add(state, builder.take(named("segment.weight"), segments));
      if (config.taskVocabularySize > 0) state = builder.addVector(state, slice(named("task.weight"), [{ end: 1 }]));
      if (config.positions === "learned") state = builder.add(state, builder.take(named("position.weight"), positions));
      if (projection === "before-norm") state = project(state);
      state = norm(state);
      return projection === "none" || projection === "before-norm" ? state : project(state);
    },
    onnx(parameters, graph) {
      const named = (name: string) => lookUp(parameters, name);
      const rows = (name: string, indices: OnnxValue): OnnxValue => graph.take(named(`${name}.weight`), indices);
      const plus = (a: OnnxValue, b: OnnxValue): OnnxValue => graph.node("Add", [a, b]);
      const projection = projectionOf(config, encoder);
      const project = (x: OnnxValue): OnnxValue =>
        graph.linear(x, named("projection.weight"), config.projectionBias ? named("projection.bias") : undefined);
      const ids = graph.input("input_ids");
      const places = (): OnnxValue => onnxPositionRows(config, encoder.padId, graph);
      let state = rows("word", ids);
      if (config.positions === "gated") state = graph.node("Mul", [state, rows("gate", places())]);
      if (config.wordScale !== 1) state = graph.node("Mul", [state, graph.float(config.wordScale)]);
      if (encoder.segmentVocabularySize > 0) {
        // One segment only, as in RoBERTa, is nothing to ask for.
        const several = encoder.segmentVocabularySize > 1;
        state = plus(state, rows("segment", several ? graph.input("token_type_ids") : graph.integers([0])));
      }
      if (config.taskVocabularySize > 0) state = plus(state, rows("task", graph.integers([0])));
      if (config.positions === "learned") state = plus(state, rows("position", places()));
      if (projection === "before-norm") state = project(state);
      if (config.norm) state = onnxNorm(state, (part) => named(`norm.${part}`), encoder, graph);
      if (config.zeroPadding) {
        const seen = graph.node("Cast", [graph.input("attention_mask")], { to: 1 });
        state = graph.node("Mul", [state, graph.node("Unsqueeze", [seen, graph.integers([2])])]);
      }
      return projection === "none" || projection === "before-norm" ? state : project(state);
    },
    planBatch: (batch) => ({ ...batch, positions: positionRows(batch, config, encoder.padId) }),
  }),
});
