// Where did each token stand? The encoder gets no positions, and a linear layer says where each token came from (MP3, arXiv
// 2207.07611). In every layer tokens look at a random part of the sequence alone, the context; the others look, but nobody
// looks at them, not even they themselves.
import { crossEntropy, linear, type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import { type PackedBatch, packSequences, type Sequence } from "../data/packed-batch.js";
import { type RandomSource, randomOrder } from "../data/random-source.js";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfig } from "../encoder/config.js";
import { bindEmbeddings } from "../encoder/embeddings/index.js";
import type { EncoderOptions } from "../encoder/encoder.js";
import { encoderFlops } from "../encoder/flops.js";
import { normalize, normSpecs } from "../encoder/norm.js";
import { createParameters, lookUp } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { orderedParts } from "../encoder/unordered.js";
import { ClozeError } from "../errors.js";
import { cannotCombine, defineObjective, type ObjectiveModel } from "./objective.js";

const type = "position-prediction";
const norm = `${type}.norm`;

const schema = z.strictObject({
  type: z.literal(type),
  maskRatio: z
    .number()
    .min(0)
    .lt(1)
    .default(0.5)
    .describe("share of the tokens that are not looked at (0.5; images take up to 0.75)"),
  positions: z
    .int()
    .min(2)
    .max(64)
    .default(64)
    .describe("of texts: tokens of a window, and so many positions to tell apart (64); images have their patches"),
});
type Config = z.output<typeof schema>;

/** Sequences whose tokens are to be placed. */
export interface PositionBatch {
  /** With the context of each sequence. */
  readonly batch: EncoderBatch & { readonly context: Uint8Array };
  /** Rows of the tokens that have a place: all but special ones, in the context or not. [placed] */
  readonly rows: Int32Array;
  /** Their places: from 0, patches row by row. [placed] */
  readonly targets: Int32Array;
}

/** Tokens that are looked at among so many: as many as are not left out, and at least one. */
export const contextSize = (length: number, maskRatio: number): number =>
  Math.max(1, length - Math.floor(maskRatio * length));

/**
 * Draws the context of each sequence: `size` of its tokens with a place, all choices equally likely, and those without one.
 *
 * @param rows tokens with a place, ascending
 * @returns 1 for tokens of the context. [tokens]
 */
export function drawContext(
  { ids, offsets }: Pick<PackedBatch, "ids" | "offsets">,
  rows: Int32Array,
  size: (length: number) => number,
  random: RandomSource,
): Uint8Array {
  const context = new Uint8Array(ids.length).fill(1);
  for (const row of rows) context[row] = 0;
  for (let s = 0, first = 0; s + 1 < offsets.length; s++) {
    let end = first;
    while (end < rows.length && rows[end] < offsets[s + 1]) end++;
    const placed = rows.subarray(first, end);
    for (const i of randomOrder(placed.length, random).subarray(0, size(placed.length))) context[placed[i]] = 1;
    first = end;
  }
  return context;
}

/**
 * Cuts sequences into windows of so many tokens, each between the special tokens that the sequence begins and ends with.
 * Segments are all 0: they could tell places.
 */
function cutWindows({ ids, offsets }: PackedBatch, width: number, isSpecial: (id: number) => boolean) {
  const windows: Sequence[] = [];
  const rows: number[] = [];
  const targets: number[] = [];
  let tokens = 0;
  for (let s = 0; s + 1 < offsets.length; s++) {
    const sequence = ids.subarray(offsets[s], offsets[s + 1]);
    let [from, to] = [0, sequence.length];
    while (from < to && isSpecial(sequence[from])) from++;
    while (to > from && isSpecial(sequence[to - 1])) to--;
    // A token alone has nothing to be placed by.
    for (let start = from; start < to && (to - start > 1 || start === from); start += width) {
      const window = sequence.subarray(start, Math.min(to, start + width));
      window.forEach((id, place) => {
        if (isSpecial(id)) return;
        rows.push(tokens + from + place);
        targets.push(place);
      });
      windows.push({ ids: [...sequence.subarray(0, from), ...window, ...sequence.subarray(to)] });
      tokens += windows[windows.length - 1].ids.length;
    }
  }
  return { batch: packSequences(windows), rows: Int32Array.from(rows), targets: Int32Array.from(targets) };
}

/** The places of patches: each sequence ends with all of them. */
function patchPlaces(batch: PackedBatch, count: number) {
  const sequences = batch.offsets.length - 1;
  const rows = Int32Array.from(
    { length: sequences * count },
    (_, i) => batch.offsets[Math.floor(i / count) + 1] - count + (i % count),
  );
  return { batch, rows, targets: rows.map((_, i) => i % count) };
}

/** Places that the patches of an encoder have; undefined where it reads words. */
const gridOf = (encoder: EncoderConfig): number | undefined => {
  const { grid } = bindEmbeddings(encoder.embeddings, encoder);
  return grid && grid[0] * grid[1];
};

/**
 * What the model says of the places of tokens: of their last states, through the linear layer of the objective.
 *
 * @param parameters those of the objective (`Objective.parameters`)
 * @returns logits [placed, places]
 */
export function positionLogits(
  { encoder }: Pick<ObjectiveModel, "encoder">,
  parameters: ReadonlyMap<string, Tensor>,
  { batch, rows }: PositionBatch,
  options: EncoderOptions = {},
): Tensor {
  const { hidden } = encoder.forward(batch, options);
  const asked = rows.length === batch.ids.length ? hidden : take(hidden, tensor(rows));
  const states = parameters.has(`${norm}.weight`) ? normalize(asked, parameters, norm, encoder.config) : asked;
  return linear(states, lookUp(parameters, `${type}.weight`), lookUp(parameters, `${type}.bias`));
}

export const positionPrediction = defineObjective({
  schema,
  description:
    "say where each token stood, without positions (MP3, arXiv 2207.07611); for models with --positions none",
  aliases: { mp3: {} },
  input: "sequences",
  wordless: true,
  architecture: "Model",
  heads: ["none", "pooler"],
  check(_, encoder) {
    const ordered = orderedParts(encoder);
    if (ordered.length === 0) return;
    throw cannotCombine("Positions are to be predicted, and this encoder has parts that are told them", {
      expected:
        "embeddings without positions; attention without direction, window, rotation or distances; channels by token",
      received: ordered.slice(0, 4).join(", "),
      remedy: "Where only the embeddings are named, take their positions away: --positions none, or changePositions.",
    });
  },
  create({ maskRatio, positions }: Config, { model, vocabulary, maxLength, seed }) {
    const { config } = model.encoder;
    const { hiddenSize, normPosition, finalNorm } = config;
    const patches = gridOf(config);
    const places = patches ?? Math.max(1, Math.min(positions, maxLength - 2));
    const parameters = createParameters(
      [
        // The states of a pre-norm encoder have a norm already, where it ends with one.
        ...(normPosition === "pre" && !finalNorm ? normSpecs(norm, hiddenSize, config) : []),
        { name: `${type}.weight`, shape: [places, hiddenSize], initial: "normal" },
        { name: `${type}.bias`, shape: [places], initial: "zeros" },
      ],
      { seed: deriveSeed(seed, type) },
      config.initializerRange,
    );
    const isSpecial = (id: number): boolean => vocabulary.specialIds.has(id);
    return {
      parameters,
      state: new Map(),
      prepare(given, random): PositionBatch {
        const placed = patches === undefined ? cutWindows(given, places, isSpecial) : patchPlaces(given, patches);
        if (placed.rows.length === 0) {
          throw new ClozeError("OBJECTIVE_CORPUS", "No token of a batch has a place", {
            expected: "sequences with more than special tokens",
            received: `${given.ids.length} special tokens`,
          });
        }
        const size = (length: number): number => contextSize(length, maskRatio);
        return { ...placed, batch: { ...placed.batch, context: drawContext(placed.batch, placed.rows, size, random) } };
      },
      loss: (prepared, { seed: at, recompute, training = true }) =>
        crossEntropy(
          positionLogits(model, parameters, prepared, { training, seed: at, recompute }),
          tensor(prepared.targets),
        ),
      tokens: ({ batch }) => batch.ids.length,
      flops: ({ batch, rows }) =>
        3 * (encoderFlops(config, batch.offsets, batch.context) + 2 * rows.length * hiddenSize * places),
      dispose() {
        for (const value of parameters.values()) value.dispose();
      },
    };
  },
});
