// Models of a folder `models/<model_type>`: outputs, hidden states, loss, gradients, and what is saved again.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backward, noGrad, readSafetensors, type SafetensorsFile, scope, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import { familyOf, loadModel, type Model, type ModelOutput, saveModel, toFile } from "../families/index.js";
import { lossBatch, type PaddedInputs, packedBatch, paddedBatch, readInputs } from "./batches.js";
import { type Check, compare, failure, numbers, pickRows } from "./check.js";

const shape = z.array(z.int());
const caseSchema = z.looseObject({
  class: z.string(),
  folder: z.string(),
  inputs: z.record(z.string(), shape),
  outputs: z.record(z.string(), shape),
  gradients: z.record(z.string(), shape),
  scalars: z.record(z.string(), z.number()),
});
const casesSchema = z.looseObject({ model_type: z.string(), cases: z.array(caseSchema) });
type Case = z.output<typeof caseSchema>;

/** Tolerances of the parity folder's README. */
const outputTolerance = 2e-5;
const gradientTolerance = 1e-4;

/**
 * The output of Cloze that stands for an output of transformers.
 *
 * @param lastIsRaw the last hidden state is what the final norm takes, not what it gives
 */
function outputNamed(name: string, output: ModelOutput, lastIsRaw: boolean): Tensor | undefined {
  const state = /^hidden_states\.(\d+)$/.exec(name);
  if (state !== null) {
    const { hiddenStates = [], beforeFinalNorm } = output;
    const index = Number(state[1]);
    return lastIsRaw && index === hiddenStates.length - 1 ? beforeFinalNorm : hiddenStates[index];
  }
  const named: Readonly<Record<string, Tensor | undefined>> = {
    last_hidden_state: output.hidden,
    pooler_output: output.pooled,
    logits: output.logits,
    prediction_logits: output.logits,
    seq_relationship_logits: output.nextSentenceLogits,
    sop_logits: output.nextSentenceLogits,
    start_logits: output.startLogits,
    end_logits: output.endLogits,
  };
  return named[name];
}

function checkOutputs(
  name: string,
  model: Model,
  { folder, outputs }: Case,
  file: SafetensorsFile,
  inputs: PaddedInputs,
) {
  const states = Object.keys(outputs).filter((output) => output.startsWith("hidden_states."));
  const rest = Object.keys(outputs).filter((output) => !states.includes(output));
  // Model types differ in which one they list; their own outputs tell.
  const read = (output: string): string => String(numbers(file.load(`${folder}.output.${output}`)));
  const lastIsRaw =
    "last_hidden_state" in outputs &&
    states.length > 0 &&
    read("last_hidden_state") !== read(`hidden_states.${states.length - 1}`);
  return scope(() =>
    noGrad(() => {
      const padded = familyOf(model.source?.model_type).paddingCounts === true;
      const batch = padded ? paddedBatch(inputs) : packedBatch(inputs);
      const received = model.forward(batch, { hiddenStates: states.length > 0 });
      const part = (what: string, wanted: readonly string[]): Check[] => {
        if (wanted.length === 0) return [];
        const comparison = compare(`${name} ${what}`, outputTolerance);
        for (const output of wanted) {
          const ours = outputNamed(output, received, lastIsRaw && received.beforeFinalNorm !== undefined);
          if (ours === undefined) {
            comparison.fail(`${output}: Cloze gives no such output`);
            continue;
          }
          const expected = numbers(file.load(`${folder}.output.${output}`));
          const [rows, columns, ...width] = outputs[output];
          // BigBird's hidden states are longer than its inputs by what it padded them with.
          const { length, places, sequences } = inputs;
          const each = width.reduce((a, b) => a * b, 1);
          const perToken =
            rows === sequences &&
            columns >= length &&
            ours.size === (padded ? sequences * length : places.length) * each;
          const picked = perToken
            ? pickRows(
                expected,
                places.map((place) => Math.floor(place / length) * columns + (place % length)),
                each,
              )
            : expected;
          const values = ours.toTypedArray();
          comparison.add(output, padded && perToken ? pickRows(values, places, each) : values, picked);
        }
        return [comparison.finish()];
      };
      return [...part("outputs", rest), ...part("hidden states", states)];
    }),
  );
}

/** The two names that a file has for word embeddings that are the decoder too. */
function tiedNames({ source, config, head }: Model): { table: string; decoder: string } | undefined {
  if (!("tied" in head.config) || !head.config.tied) return undefined;
  const names = familyOf(source?.model_type).names(config, { ...head.config, tied: false }, source);
  const [table, decoder] = ["encoder.embeddings.word.weight", "head.decoder.weight"].map(
    (parameter) => names.get(parameter)?.names[0],
  );
  return table === undefined || decoder === undefined ? undefined : { table, decoder };
}

function checkGradients(name: string, model: Model, expected: Case, file: SafetensorsFile): Check {
  const comparison = compare(`${name} gradients`, gradientTolerance);
  const family = familyOf(model.source?.model_type);
  const names = family.names(model.config, model.head.config, model.source);
  scope(() => {
    const gradients = [...model.parameters].flatMap(([key, { grad }]) =>
      grad === undefined ? [] : [[key, grad] as const],
    );
    const received = new Map(toFile(names, gradients));
    const shared = tiedNames(model);
    // Of two names of one tensor, transformers lists either.
    if (shared !== undefined && shared.decoder in expected.gradients) {
      const table = received.get(shared.table);
      received.delete(shared.table);
      if (table !== undefined) received.set(shared.decoder, table);
    }
    // Names in memory may be others than those of the file; the gradients have the former.
    for (const name of [...received.keys()].filter((key) => !(key in expected.gradients))) {
      const other = family.aliases(name).find((alias) => alias in expected.gradients && !received.has(alias));
      const gradient = received.get(name);
      if (other === undefined || gradient === undefined) continue;
      received.delete(name);
      received.set(other, gradient);
    }
    for (const parameter of Object.keys(expected.gradients)) {
      const ours = received.get(parameter);
      if (ours === undefined) comparison.fail(`${parameter}: no gradient`);
      else comparison.add(parameter, ours.toTypedArray(), numbers(file.load(`${expected.folder}.grad.${parameter}`)));
    }
    // Where transformers lists none, its gradient is nothing or all zeros.
    for (const [parameter, ours] of received) {
      if (!(parameter in expected.gradients))
        comparison.add(parameter, ours.toTypedArray(), new Float32Array(ours.size));
    }
  });
  return comparison.finish();
}

function checkLoss(name: string, model: Model, expected: Case, file: SafetensorsFile, inputs: PaddedInputs): Check[] {
  if (expected.scalars.loss === undefined) return [];
  const wantsGradients = Object.keys(expected.gradients).length > 0;
  const comparison = compare(`${name} loss`, outputTolerance);
  const { batch, labels } = lossBatch(inputs, familyOf(model.source?.model_type).paddingCounts);
  scope(() => {
    const { loss } = model.forward(batch, labels);
    if (loss === undefined) {
      comparison.fail("Cloze gives no loss");
      return;
    }
    comparison.add(batch.visible === undefined ? "packed" : "with padding", [loss.item()], [expected.scalars.loss]);
    if (wantsGradients) backward(loss);
  });
  return wantsGradients ? [comparison.finish(), checkGradients(name, model, expected, file)] : [comparison.finish()];
}

/** Saves the model again; the file must hold the same tensors, the config the same fields. */
function checkSaved(name: string, model: Model, folder: string): Check {
  const comparison = compare(`${name} saved again`, 0);
  const again = mkdtempSync(join(tmpdir(), "cloze-parity-"));
  try {
    saveModel(model, again);
    const [before, after] = [readSafetensors(folder), readSafetensors(again)];
    for (const tensor of new Set([...before.names, ...after.names])) {
      if (!before.has(tensor) || !after.has(tensor)) {
        comparison.fail(`${tensor} is only in ${before.has(tensor) ? "the original" : "what Cloze saved"}`);
      } else comparison.add(tensor, numbers(after.load(tensor)), numbers(before.load(tensor)));
    }
    before.close();
    after.close();
    const configs = [folder, again].map(
      (from) => JSON.parse(readFileSync(join(from, "config.json"), "utf8")) as Record<string, unknown>,
    );
    // Whatever was read, float32 is written.
    for (const field of ["dtype", "torch_dtype"].filter((name) => name in configs[0])) configs[0][field] = "float32";
    for (const [field, value] of Object.entries(configs[0])) {
      if (JSON.stringify(configs[1][field]) !== JSON.stringify(value)) {
        comparison.fail(`config.json: ${field} became ${JSON.stringify(configs[1][field])}`);
      }
    }
  } finally {
    rmSync(again, { recursive: true, force: true });
  }
  return comparison.finish();
}

function checkCase(prefix: string, folder: string, file: SafetensorsFile, expected: Case): Check[] {
  const name = `${prefix}/${expected.folder}`;
  let model: Model | undefined;
  try {
    model = loadModel(join(folder, expected.folder));
    const { embeddings } = model.config;
    const layout = embeddings.type === "patches" ? embeddings : undefined;
    const inputs = readInputs(file, `${expected.folder}.input.`, Object.keys(expected.inputs), layout);
    return [
      ...checkOutputs(name, model, expected, file, inputs),
      ...checkLoss(name, model, expected, file, inputs),
      checkSaved(name, model, join(folder, expected.folder)),
    ];
  } catch (error) {
    return [failure(name, error)];
  } finally {
    model?.dispose();
  }
}

/**
 * Compares every class of a folder `models/<model_type>`.
 *
 * @param prefix what stands before the class in the report: "models/bert"
 */
export function checkModels(folder: string, prefix: string): Check[] {
  let file: SafetensorsFile | undefined;
  try {
    const cases = parseConfig(
      casesSchema,
      JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")),
      "cases.json",
    ).cases;
    const opened = readSafetensors(join(folder, "cases.safetensors"));
    file = opened;
    return cases.flatMap((expected) => checkCase(prefix, folder, opened, expected));
  } catch (error) {
    return [failure(prefix, error)];
  } finally {
    file?.close();
  }
}
