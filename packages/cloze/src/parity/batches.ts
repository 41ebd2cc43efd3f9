// Padded inputs of transformers as batches of the encoder.
import type { SafetensorsFile } from "@cloze/tensor";
import { type PatchLayout, packImages } from "../data/image-batch.js";
import { unpadBatch } from "../data/packed-batch.js";
import type { EncoderBatch } from "../encoder/batch.js";
import { ClozeError } from "../errors.js";
import type { Labels } from "../heads/index.js";
import { numbers } from "./check.js";

/** What a model of transformers was called with. */
export interface PaddedInputs {
  readonly sequences: number;
  readonly length: number;
  /** Places of real tokens in the rectangle, ascending. */
  readonly places: Int32Array;
  readonly ids: Int32Array;
  readonly segments: Int32Array;
  readonly mask: Int32Array;
  readonly global?: Int32Array;
  /** Pixels, where the input is images; each patch is a token then. */
  readonly values?: Float32Array;
  /** How many sequences in turn are the choices of one question. */
  readonly choices?: number;
  /** Labels by their name there. */
  readonly labels: ReadonlyMap<string, Int32Array>;
}

const labelNames = ["labels", "start_positions", "end_positions", "next_sentence_label", "sentence_order_label"];

/** Ids of a rectangle without padding, or the pixels of images. */
function readTokens(
  file: SafetensorsFile,
  prefix: string,
  names: readonly string[],
  layout?: PatchLayout,
): Pick<PaddedInputs, "sequences" | "length" | "values" | "choices"> {
  if (layout === undefined || !names.includes("pixel_values")) {
    const { shape } = file.info(`${prefix}input_ids`);
    const [questions, choices, length] = shape;
    return shape.length === 3
      ? { sequences: questions * choices, length, choices }
      : { sequences: questions, length: choices };
  }
  const { offsets, values } = packImages(numbers(file.load(`${prefix}pixel_values`)) as Float32Array, layout);
  return { sequences: offsets.length - 1, length: offsets[1], values };
}

/**
 * Reads `<prefix>input_ids` or `<prefix>pixel_values`, and what stands beside it.
 *
 * @param layout of a model that reads images
 */
export function readInputs(
  file: SafetensorsFile,
  prefix: string,
  names: readonly string[],
  layout?: PatchLayout,
): PaddedInputs {
  const main = layout === undefined ? "input_ids" : "pixel_values";
  const known = [main, "attention_mask", "token_type_ids", "global_attention_mask", ...labelNames];
  const unknown = names.filter((name) => !known.includes(name));
  if (!names.includes(main) || unknown.length > 0) {
    throw new ClozeError("PARITY_INPUT", "The case has inputs that this program does not know", {
      expected: known.join(", "),
      received: names.join(", "),
    });
  }
  const { sequences, length, values, choices } = readTokens(file, prefix, names, layout);
  const read = (name: string, otherwise: number): Int32Array =>
    names.includes(name)
      ? (numbers(file.load(`${prefix}${name}`)) as Int32Array)
      : new Int32Array(sequences * length).fill(otherwise);
  const mask = read("attention_mask", 1);
  return {
    sequences,
    length,
    values,
    choices,
    ids: read("input_ids", 0),
    segments: read("token_type_ids", 0),
    mask,
    global: names.includes("global_attention_mask") ? read("global_attention_mask", 0) : undefined,
    places: Int32Array.from(mask.keys()).filter((place) => mask[place] !== 0),
    labels: new Map(labelNames.filter((name) => names.includes(name)).map((name) => [name, read(name, 0)])),
  };
}

/** The batch without its padding. */
export const packedBatch = ({
  ids,
  segments,
  mask,
  global,
  places,
  sequences,
  length,
  values,
}: PaddedInputs): EncoderBatch => ({
  ...unpadBatch({ ids, segments, attentionMask: mask, sequences, length }),
  values,
  paddedLength: length,
  ...(global === undefined ? {} : { globalTokens: Uint8Array.from(places, (place) => global[place]) }),
});

/** The batch with its padding as tokens that look but are not seen. Padding stands on the right. */
export function paddedBatch({ ids, segments, mask, global, sequences, length }: PaddedInputs): EncoderBatch {
  const visible = Int32Array.from({ length: sequences }, (_, s) =>
    mask.subarray(s * length, (s + 1) * length).reduce((count, value) => count + value, 0),
  );
  visible.forEach((seen, s) => {
    if (mask.subarray(s * length, s * length + seen).includes(0))
      throw new ClozeError("PARITY_INPUT", "Padding stands on the right", { received: `row ${s} has it elsewhere` });
  });
  return {
    ids,
    segments,
    positions: Int32Array.from(ids, (_, i) => i % length),
    offsets: Int32Array.from({ length: sequences + 1 }, (_, s) => s * length),
    visible,
    ...(global === undefined ? {} : { globalTokens: Uint8Array.from(global) }),
  };
}

/**
 * The batch and labels that give transformers' loss. Its losses count padding where labels stand there, and its question
 * answering spreads probability over padding: only then the padded form is taken, or where `alwaysPadded`.
 */
export function lossBatch(inputs: PaddedInputs, alwaysPadded = false): { batch: EncoderBatch; labels: Labels } {
  const { labels, mask, places, sequences, length, choices } = inputs;
  const given = labels.get("labels");
  const perToken = given !== undefined && given.length === sequences * length && length > 1;
  const starts = labels.get("start_positions");
  const paddingCounts =
    alwaysPadded || starts !== undefined || (perToken && given.some((label, i) => label !== -100 && mask[i] === 0));
  const packed = !paddingCounts || places.length === mask.length;
  return {
    batch: packed ? packedBatch(inputs) : paddedBatch(inputs),
    labels: {
      labels: perToken && packed ? Int32Array.from(places, (place) => given[place]) : given,
      starts,
      ends: labels.get("end_positions"),
      // The one head for it alone has its labels where others have theirs.
      nextSentence:
        labels.get("next_sentence_label") ?? labels.get("sentence_order_label") ?? (perToken ? undefined : given),
      groups:
        choices === undefined
          ? undefined
          : Int32Array.from({ length: sequences / choices + 1 }, (_, question) => question * choices),
    },
  };
}
