// Stored states of documents in a fraction of their room (PreTTR, MacAvaney 2020): fewer numbers, of 16 bits each.
import {
  fromBfloat16,
  gelu,
  layerNorm,
  linear,
  meanSquaredError,
  noGrad,
  scope,
  type Tensor,
  tensor,
  toBfloat16,
} from "@cloze/tensor";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import { ClozeError } from "../../errors.js";
import { type RowTrainingOptions, trainOnRows } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";
import type { StoredText } from "./split-encoder.js";

/** A stored text whose states are codes: [tokens x size] of bfloat16. */
export interface CompressedText extends Omit<StoredText, "states"> {
  readonly codes: Uint16Array;
}

export interface StateCodec {
  readonly hiddenSize: number;
  readonly size: number;
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** What comes out of states that go in, with gradients and without rounding: [tokens, hidden] */
  forward(states: Tensor): Tensor;
  compress(text: StoredText): CompressedText;
  /** What `SplitModel.resume` takes. */
  expand(text: CompressedText): StoredText;
  dispose(): void;
}

/**
 * Linear hidden -> size, GELU, 16 bits; linear size -> hidden, layer norm. The paper has float16 and sizes of 128, 256 and 384 of
 * 768; here the 16 bits are bfloat16.
 *
 * @param source where the parameters come from; new ones by seed 1 unless told
 * @example
 * const codec = createStateCodec(768, 128);
 * await trainStateCodec(codec, split.store(documents), { steps: 1000 });
 * const small = split.store(documents).map(codec.compress);
 * const { logits } = split.resume(small.map((document) => [query, codec.expand(document)]));
 */
export function createStateCodec(hiddenSize: number, size: number, source: ParameterSource = { seed: 1 }): StateCodec {
  const parameters = createParameters(
    [
      { name: "compress.weight", shape: [size, hiddenSize], initial: "normal" },
      { name: "compress.bias", shape: [size], initial: "zeros" },
      { name: "expand.weight", shape: [hiddenSize, size], initial: "normal" },
      { name: "expand.bias", shape: [hiddenSize], initial: "zeros" },
      { name: "norm.weight", shape: [hiddenSize], initial: "ones" },
      { name: "norm.bias", shape: [hiddenSize], initial: "zeros" },
    ],
    source,
    1 / Math.sqrt(hiddenSize),
  );
  const of = (name: string) => lookUp(parameters, name);
  const inner = (states: Tensor): Tensor => gelu(linear(states, of("compress.weight"), of("compress.bias")));
  const outer = (codes: Tensor): Tensor =>
    layerNorm(linear(codes, of("expand.weight"), of("expand.bias")), of("norm.weight"), of("norm.bias"));
  return {
    hiddenSize,
    size,
    parameters,
    forward: (states) => scope(() => outer(inner(states))),
    compress({ states, ...text }) {
      const codes = noGrad(() =>
        scope(() => toBfloat16(inner(tensor(states, [text.ids.length, hiddenSize]))).toTypedArray() as Uint16Array),
      );
      return { ...text, codes: Uint16Array.from(codes) };
    },
    expand({ codes, ...text }) {
      const states = noGrad(() =>
        scope(() => {
          const stored = tensor(codes, [text.ids.length, size], "bfloat16");
          return outer(fromBfloat16(stored)).toTypedArray() as Float32Array;
        }),
      );
      return { ...text, states: Float32Array.from(states) };
    },
    dispose() {
      for (const value of parameters.values()) value.dispose();
    },
  };
}

export interface TrainStateCodecOptions extends RowTrainingOptions {
  /** Texts of a batch. Default 16. */
  batchSize?: number;
  /** Default 1e-3. */
  learningRate?: number;
}

/**
 * Trains a codec to give back the states of some texts (squared error); the ranker that made them stays as it is.
 *
 * @throws TRAINING_ROWS without texts
 */
export async function trainStateCodec(
  codec: StateCodec,
  texts: readonly StoredText[],
  options: TrainStateCodecOptions = {},
): Promise<TrainResult> {
  if (texts.length === 0) throw new ClozeError("TRAINING_ROWS", "There are no stored texts to learn from");
  return trainOnRows(
    {
      parameters: codec.parameters,
      rows: texts,
      batchSize: 16,
      learningRate: 1e-3,
      weightDecay: 0,
      settings: { size: codec.size },
      loss(batch) {
        const rows = batch.flatMap((i) => [...texts[i].states]);
        const states = tensor(Float32Array.from(rows), [rows.length / codec.hiddenSize, codec.hiddenSize]);
        return meanSquaredError(codec.forward(states), states);
      },
      describe: ({ ids }) => ids.length,
    },
    options,
  );
}
