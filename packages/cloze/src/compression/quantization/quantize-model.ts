// A trained model with its matrices as codes of few bits.
import { contiguous, type InputRange, noGrad, scope, type Tensor } from "@cloze/tensor";
import type { EncoderBatch } from "../../encoder/batch.js";
import { encoderMatrices, withWeights } from "../../encoder/surgery.js";
import { decodeGroups, encodeGroups } from "../../encoder/weights/group-codes.js";
import { ClozeError } from "../../errors.js";
import { buildModel, type Model } from "../../families/model.js";
import { createRangeCollector, type RangeCollector, type RangeEstimator } from "./range.js";

export interface QuantizeModelOptions {
  /** Of a weight. Default 8: a range for each output. */
  bits?: 2 | 3 | 4 | 8;
  /** Groups of outputs that share a range, below 8 bits. Default 128 (Q-BERT). */
  groups?: number;
  /** Ranges of what matrices take, by path, as `calibrate` finds them. Default: the range of each token, at each run. */
  inputRanges?: ReadonlyMap<string, InputRange>;
}

/**
 * Runs batches and finds the range of what each matrix of the layers takes, for 8-bit codes of activations that need not look
 * at each token (arXiv 2306.12929).
 *
 * @returns by path: `layers.0.mixer.queryKeyValue`
 * @example
 * const ranges = calibrate(model, batches, "percentile");
 * const small = quantizeModel(model, { inputRanges: ranges });
 */
export function calibrate(
  model: Pick<Model, "encoder">,
  batches: Iterable<EncoderBatch>,
  estimator: RangeEstimator = "min-max",
): Map<string, InputRange> {
  const collectors = new Map<string, RangeCollector>();
  let runs = 0;
  for (const batch of batches) {
    runs++;
    scope(() =>
      noGrad(() =>
        model.encoder.forward(batch, {
          observe(path, x) {
            const collector = collectors.get(path) ?? createRangeCollector(estimator);
            collectors.set(path, collector);
            collector.add(contiguous(x).toTypedArray() as Float32Array);
          },
        }),
      ),
    );
  }
  if (runs === 0) {
    throw new ClozeError("NO_TEXT", "Ranges of activations are found from samples, and there is none", {
      remedy: "Give some texts such as the model will read.",
    });
  }
  return new Map([...collectors].map(([path, collector]) => [path, collector.range()]));
}

/**
 * Rounds the matrices of the layers to codes, in place, and makes them weights of the type "quantized": files hold codes,
 * plans multiply them, training goes on as if nothing were rounded. Tables and heads stay float32.
 *
 * @returns a model on the same parameters; the one given is used up, so dispose the result only
 * @throws OPTION_INVALID, NOT_FINITE
 * @example
 * const small = quantizeModel(loadModel("mine"), { bits: 4 });
 * saveModel(small, "mine-4-bit");
 */
export function quantizeModel(
  model: Model,
  { bits = 8, groups = 128, inputRanges = new Map() }: QuantizeModelOptions = {},
): Model {
  if (!(Number.isInteger(groups) && groups >= 1)) {
    throw new ClozeError("OPTION_INVALID", "Groups of outputs are counted", {
      expected: "a whole number of at least 1",
      received: String(groups),
    });
  }
  const chosen = encoderMatrices(model.config).filter(({ path, weights }) => {
    const parameter = model.parameters.get(`encoder.${path}.weight`);
    return parameter !== undefined && (weights.type === "dense" || weights.type === "quantized");
  });
  const weightOf = (path: string): Tensor => model.parameters.get(`encoder.${path}.weight`) as Tensor;
  // All are looked at before any is written.
  const rounded = chosen.map(({ path, outputs, inputs }) => {
    const values = contiguous(weightOf(path)).toTypedArray() as Float32Array;
    if (!values.every(Number.isFinite)) {
      throw new ClozeError("NOT_FINITE", `${path}.weight holds a number that is NaN or infinite`, {
        remedy: "Look for the step where training diverged; an earlier checkpoint may be whole.",
      });
    }
    return decodeGroups(encodeGroups(values, outputs, inputs, { bits, groups }), outputs, inputs);
  });
  chosen.forEach(({ path }, i) => {
    const weight = weightOf(path);
    weight.storage.backend.write(rounded[i], weight.pointer as number);
    weight.markWritten();
  });
  const paths = new Set(chosen.map(({ path }) => path));
  const config = withWeights(model.config, ({ path }) =>
    paths.has(path) ? { type: "quantized", bits, groups, input: inputRanges.get(path) } : undefined,
  );
  const load = (part: string) => (name: string) => model.parameters.get(`${part}.${name}`);
  const { source, initialized, unused, carried } = model;
  return buildModel(
    config,
    model.head.config,
    { load: load("encoder") },
    { load: load("head") },
    { source, initialized, unused, carried },
  );
}
