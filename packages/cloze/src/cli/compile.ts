import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { InputRange } from "@cloze/tensor";
import { type Command, Option } from "commander";
import { calibrate } from "../compression/quantization/quantize-model.js";
import { type RangeEstimator, rangeEstimators } from "../compression/quantization/range.js";
import { groupByTokenBudget, type PackedBatch, packSequences } from "../data/packed-batch.js";
import { encoderMatrices } from "../encoder/surgery.js";
import { ClozeError } from "../errors.js";
import { loadModel, type Model } from "../families/index.js";
import { type CompiledModel, compile } from "../inference/compile.js";
import { copyCompanions, type StoredKind, saveCompiled, storedKinds } from "../inference/compiled-folder.js";
import { closeness, compileCounted, type PlanCost, runBatches, timePlans } from "../inference/measure-plans.js";
import { formatBytes, type ProgressReporter } from "../training/progress.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { textsOf } from "./embed.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";
import { measureTexts, sampleSequences } from "./sample-texts.js";

interface CompileCommandOptions extends CommonOptions {
  model: string;
  out: string;
  weights: StoredKind | "auto";
  activations: "dynamic" | "static";
  estimator: RangeEstimator;
  groups: number;
  texts?: string;
  threads?: number;
  tokenBudget: number;
  seconds: number;
  leastCosine: number;
  leastAgreement: number;
}

/** What is lost against float32, on the texts. */
interface Change {
  /** Of pooled vectors. */
  readonly cosine: number;
  readonly leastCosine: number;
  /** Share of the answers that stay, for models that classify. */
  readonly labelAgreement?: number;
}

/** What a model gives for the texts: vectors, and logits where it classifies. */
interface Outputs {
  readonly vectors: Float32Array;
  readonly logits?: Float32Array;
}

const fileBytes = (folder: string): number =>
  ["model.safetensors", "pytorch_model.bin"]
    .map((name) => join(folder, name))
    .filter(existsSync)
    .reduce((sum, path) => sum + statSync(path).size, 0);

/** The folder of the encoder: that of an embedder's Transformer, or the folder itself. */
function encoderFolder(folder: string): string {
  const path = join(folder, "modules.json");
  if (!existsSync(path)) return folder;
  const modules = JSON.parse(readFileSync(path, "utf8")) as { type: string; path: string }[];
  return join(folder, modules.find(({ type }) => type.endsWith("Transformer"))?.path ?? "");
}

/** Logits that are answers: of classes. */
const classifies = ({ head }: Model): boolean => "labels" in head.config && head.config.labels > 1;

async function outputsOf(
  model: Model,
  batches: readonly PackedBatch[],
  vectors: CompiledModel,
  weights?: "float32",
): Promise<Outputs> {
  const values = await runBatches(vectors, batches);
  if (!classifies(model)) return { vectors: values };
  const compiled = compile(model, { outputs: "logits", weights });
  const logits = await runBatches(compiled, batches);
  compiled.close();
  return { vectors: values, logits };
}

function changeOf(model: Model, expected: Outputs, received: Outputs): Change {
  const { cosine, leastCosine } = closeness(expected.vectors, received.vectors, model.config.hiddenSize);
  if (expected.logits === undefined || received.logits === undefined || !("labels" in model.head.config))
    return { cosine, leastCosine };
  const { sameLargest } = closeness(expected.logits, received.logits, model.head.config.labels);
  return { cosine, leastCosine, labelAgreement: sameLargest };
}

/** Share of zeros in the matrices of the layers. */
function sparsityOf(model: Model): number {
  let [zeros, all] = [0, 0];
  for (const { path } of encoderMatrices(model.config)) {
    const values = model.parameters.get(`encoder.${path}.weight`)?.toTypedArray() ?? [];
    for (const value of values) zeros += Number(value === 0);
    all += values.length;
  }
  return all === 0 ? 0 : zeros / all;
}

interface Candidate extends PlanCost, Change {
  readonly weights: "float32" | "int8" | "sparse" | "sparse-int8";
}

/** Tries the kinds that need no other weights, and takes the fastest that loses little enough. */
async function choose(
  model: Model,
  batches: readonly PackedBatch[],
  { threads, seconds, leastCosine, leastAgreement }: CompileCommandOptions,
): Promise<{ weights: StoredKind; candidates: Candidate[] }> {
  const kinds =
    sparsityOf(model) < 0.5 ? (["float32", "int8"] as const) : storedKinds.filter((kind) => kind !== "int4");
  const plans = kinds.map((weights) => compileCounted(model, { weights, threads, outputs: "pooled" }));
  const costs = await timePlans(plans, batches, seconds);
  const outputs: Outputs[] = [];
  for (const [i, { compiled }] of plans.entries()) {
    const vectors = await runBatches(compiled, batches);
    if (!classifies(model)) outputs.push({ vectors });
    else {
      const head = compile(model, { weights: kinds[i], outputs: "logits" });
      outputs.push({ vectors, logits: await runBatches(head, batches) });
      head.close();
    }
  }
  for (const { compiled } of plans) compiled.close();
  const candidates = kinds.map(
    (weights, i): Candidate => ({ weights, ...costs[i], ...changeOf(model, outputs[0], outputs[i]) }),
  );
  const good = candidates.filter(
    ({ cosine, labelAgreement = 1 }) => cosine >= leastCosine && labelAgreement >= leastAgreement,
  );
  const [first, ...rest] = good.length > 0 ? good : candidates;
  const { weights } = rest.reduce((best, each) => (each.seconds < best.seconds ? each : best), first);
  return { weights, candidates };
}

/** What helps a model that lost too much. */
const remedyOf = (weights: StoredKind, { activations }: CompileCommandOptions): string => {
  if (weights === "int4") return "train it on (rounding stays while it trains), or take --weights int8";
  return activations === "static" ? "take --activations dynamic" : "take --weights float32";
};

function noteQuality(
  progress: ProgressReporter,
  { cosine, labelAgreement = 1 }: Change,
  weights: StoredKind,
  options: CompileCommandOptions,
): void {
  if (cosine >= options.leastCosine && labelAgreement >= options.leastAgreement) return;
  const labels = labelAgreement === 1 ? "" : `, ${percent(labelAgreement)} of the labels`;
  progress.note(
    `this model loses much (cosine ${cosine.toFixed(4)}${labels} to float32): ${remedyOf(weights, options)}`,
  );
}

const percent = (share: number | undefined): string => (share === undefined ? "" : `${(100 * share).toFixed(1)} %`);

/** `cloze compile` */
export function addCompile(program: Command): void {
  program
    .command("compile")
    .description(
      "make a model faster: choose how its matrices are multiplied, measure what that costs, save the result",
    )
    .requiredOption(`--model ${modelArgument}`, "the model")
    .requiredOption("--out <folder>", "gets a model that every command opens, and runs in this way")
    .addOption(
      new Option(
        "--weights <kind>",
        "auto: the fastest that loses little enough; sparse: what pruning left; int4: groups of outputs in 4 bits, for small batches",
      )
        .choices(["auto", ...storedKinds])
        .default("auto"),
    )
    .addOption(
      new Option("--activations <how>", "with codes: a range for each token at each run, or one found from the texts")
        .choices(["dynamic", "static"])
        .default("dynamic"),
    )
    .addOption(new Option("--estimator <how>", "of static ranges").choices([...rangeEstimators]).default("percentile"))
    .option("--groups <count>", "of outputs that share a range, with int4", wholeNumber(), 128)
    .option("--texts <file>", "texts to measure with and to find ranges from, one a line, such as the model will read")
    .option("--threads <count>", "threads to measure with (default: all)", wholeNumber())
    .option("--token-budget <count>", "tokens per forward pass", wholeNumber(1), 4096)
    .option("--seconds <count>", "to time plans for, at least three runs each", numberBetween(0), 2)
    .option("--least-cosine <share>", "to the vectors in float32, on average, for auto", numberBetween(-1, 1), 0.99)
    .option("--least-agreement <share>", "of labels with float32, for auto", numberBetween(0, 1), 0.97)
    .action(async (options: CompileCommandOptions) => {
      const progress = progressFor(options);
      const folder = await modelFolder(options.model, options);
      const transformer = encoderFolder(folder);
      if (resolve(options.out) === resolve(folder)) {
        throw new ClozeError(
          "OPTION_INVALID",
          "The compiled model would take the place of the one that it is made from",
          {
            received: options.out,
            remedy: "Give another folder with --out.",
          },
        );
      }
      const model = loadModel(transformer);
      if (model.config.vocabularySize === 0) {
        throw new ClozeError("MODEL_NO_TEXT", "This model reads no text, so there is nothing to measure it with", {
          received: model.config.embeddings.type,
        });
      }
      const texts = options.texts === undefined ? measureTexts : textsOf([], options.texts).slice(0, 512);
      const sequences = sampleSequences(transformer, model, texts);
      const lengths = sequences.map(({ ids }) => ids.length);
      const batches = groupByTokenBudget(lengths, options.tokenBudget).map((group) =>
        packSequences(group.map((i) => sequences[i])),
      );
      const { threads } = options;
      const before = { ...compileCounted(model, { weights: "float32", threads, outputs: "pooled" }) };
      if (before.compiled.reason !== undefined) progress.note(before.compiled.reason);
      const expected = await outputsOf(model, batches, before.compiled, "float32");
      let { weights, candidates }: { weights: StoredKind | "auto"; candidates: Candidate[] } = {
        weights: options.weights,
        candidates: [],
      };
      if (weights === "auto") {
        if (before.compiled.planned) ({ weights, candidates } = await choose(model, batches, options));
        else weights = "float32";
      }
      const coded = weights !== "float32" && weights !== "sparse";
      let inputRanges: ReadonlyMap<string, InputRange> | undefined;
      if (coded && options.activations === "static") inputRanges = calibrate(model, batches, options.estimator);
      const target = join(options.out, transformer.slice(folder.length));
      copyCompanions(folder, options.out, transformer);
      // The plan of float32 has copies of its own, so that it stays what it was.
      const rounded = saveCompiled(model, target, { weights, inputRanges, groups: options.groups });
      const saved = loadModel(target);
      const after = compileCounted(saved, { threads, outputs: "pooled" });
      const change = changeOf(saved, expected, await outputsOf(saved, batches, after.compiled));
      const [float32, compiled] = await timePlans([before, after], batches, options.seconds);
      const result = {
        model: options.model,
        out: options.out,
        weights,
        activations: coded ? options.activations : undefined,
        planned: after.compiled.planned,
        reason: after.compiled.reason,
        texts: sequences.length,
        accuracy: change,
        float32: { fileBytes: fileBytes(transformer), ...float32 },
        compiled: { fileBytes: fileBytes(target), ...compiled },
        candidates,
      };
      for (const { compiled: plan } of [before, after]) plan.close();
      for (const each of [rounded, saved]) each.dispose();
      noteQuality(progress, change, weights, options);
      const row = (name: string, of: (side: typeof result.float32) => string) => [
        name,
        of(result.float32),
        of(result.compiled),
      ];
      printResult(options, result, () =>
        [
          `${options.out}: ${weights}${coded ? `, activations ${options.activations}` : ""}`,
          formatTable([
            ["", "float32", weights],
            row("file", (side) => formatBytes(side.fileBytes)),
            row("weights of the plan", (side) => formatBytes(side.planBytes)),
            row("scratch memory", (side) => formatBytes(side.scratchBytes)),
            row(`${sequences.length} texts`, (side) => `${(1000 * side.seconds).toFixed(2)} ms`),
            row("texts/s", (side) => side.textsPerSecond.toFixed(0)),
            ["cosine to float32, mean", "", change.cosine.toFixed(5)],
            ["least", "", change.leastCosine.toFixed(5)],
            ...(change.labelAgreement === undefined ? [] : [["same labels", "", percent(change.labelAgreement)]]),
          ]),
          ...(candidates.length === 0
            ? []
            : [
                "",
                formatTable([
                  ["tried", "texts/s", "cosine", "same labels"],
                  ...candidates.map((each) => [
                    each.weights,
                    each.textsPerSecond.toFixed(0),
                    each.cosine.toFixed(5),
                    percent(each.labelAgreement),
                  ]),
                ]),
              ]),
        ].join("\n"),
      );
    });
}
