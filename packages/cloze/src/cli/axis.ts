import { type Command, InvalidArgumentError, Option } from "commander";
import { axisPreset, axisPresets, type FitDirectionOptions, fitDirection, saveAxis } from "../embedding/axis/index.js";
import { fitOptionsOf } from "../embedding/axis/presets/index.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { ClozeError } from "../errors.js";
import { rocAuc } from "../metrics/index.js";
import { readLines } from "../text/index.js";
import { wholeNumber } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";

interface AxisOptions extends CommonOptions {
  model: string;
  out: string;
  preset: string;
  phrases?: string;
  templates?: string;
  components: number;
  orientBy?: string;
  normaliseTo?: string;
}

function presetName(name: string): string {
  if (axisPresets.some((preset) => preset.name === name)) return name;
  throw new InvalidArgumentError(`One of these is needed: ${axisPresets.map((preset) => preset.name).join(", ")}.`);
}

const linesOf = (path: string): string[] => [...readLines([path])];

/** What is fitted: a preset, or phrases of a file. */
function fitOptions(options: AxisOptions): FitDirectionOptions {
  const { components, orientBy, normaliseTo, phrases, templates } = options;
  const own = templates === undefined ? {} : { templates: linesOf(templates) };
  if (phrases === undefined) {
    const preset = fitOptionsOf(axisPreset(options.preset));
    return {
      ...preset,
      ...own,
      components,
      orientBy: orientBy ?? preset.orientBy,
      normaliseTo: normaliseTo ?? preset.normaliseTo,
    };
  }
  if (orientBy !== undefined) return { phrases: linesOf(phrases), ...own, components, orientBy, normaliseTo };
  throw new ClozeError("AXIS_PHRASES", "Nothing says which end of the axis is the low one", {
    expected: "one of the phrases that scores low",
    remedy: "Name it with --orient-by.",
  });
}

/** `cloze axis` */
export function addAxis(program: Command): void {
  program
    .command("axis")
    .description("fit a direction among sentence vectors to phrases, without labels, for cloze probe and generate")
    .requiredOption(`--model ${modelArgument}`, "a sentence encoder (sentence-transformers or Hugging Face)")
    .requiredOption("--out <file>", "the axis, as JSON; beside its encoder, cloze probe and generate find both")
    .addOption(
      new Option(
        "--preset <name>",
        `phrases and questions: ${axisPresets.map(({ name, description }) => `${name}, ${description}`).join("; ")}`,
      )
        .argParser(presetName)
        .default(axisPresets[0].name),
    )
    .option("--phrases <file>", "phrases of your own, one a line, from both ends (instead of the preset)")
    .option("--templates <file>", 'sentences with {} for the phrase, one a line, such as "Should I {}?"')
    .option("--components <count>", "principal components by which the ends are told apart", wholeNumber(), 5)
    .option("--orient-by <phrase>", "one of the phrases that scores low")
    .option("--normalise-to <phrase>", "the phrase that scores 1 or -1 (default with --phrases: the furthest one)")
    .action(async (options: AxisOptions) => {
      const fit = fitOptions(options);
      const embedder = loadEmbedder(await modelFolder(options.model, options));
      progressFor(options).note(
        `Embedding ${fit.phrases.length} phrases in ${Math.max(1, fit.templates?.length ?? 0)} sentence(s) …`,
      );
      const axis = fitDirection(embedder, fit);
      saveAxis(axis, options.out);
      const scores = axis.score(axis.phrases);
      embedder.dispose();
      const scored = axis.phrases.map((text, i) => ({ text, score: scores[i] })).sort((a, b) => b.score - a.score);
      const { high, low } =
        options.phrases === undefined ? axisPreset(options.preset) : { high: [] as string[], low: [] as string[] };
      const ends = scored.filter(({ text }) => high.includes(text) || low.includes(text));
      const separation =
        ends.length === 0
          ? undefined
          : rocAuc(
              ends.map(({ text }) => Number(high.includes(text))),
              ends.map(({ score }) => score),
            );
      const { explainedVariance } = axis;
      printResult(options, { axis: options.out, explainedVariance, separation, phrases: scored }, () =>
        [
          formatTable([
            ["phrase", "score"],
            ...(scored.length <= 12 ? scored : [...scored.slice(0, 6), ...scored.slice(-6)]).map(({ text, score }) => [
              text,
              score.toFixed(3),
            ]),
          ]),
          `Variance along the axis, and along the components after it: ${explainedVariance.map((share) => share.toFixed(3)).join(", ")}`,
          ...(separation === undefined ? [] : [`Phrases of known ends, ROC-AUC: ${separation.toFixed(3)}`]),
          `The axis is in ${options.out}`,
        ].join("\n"),
      );
    });
}
