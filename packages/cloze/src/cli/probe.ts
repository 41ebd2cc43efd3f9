import { type Command, Option } from "commander";
import { encoderFolderOf } from "../embedding/axis/axis-file.js";
import {
  answerBias,
  axisPreset,
  axisPresets,
  loadAxis,
  type PhraseForm,
  phraseForms,
} from "../embedding/axis/index.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { emptyCounts } from "../embedding/text-roles.js";
import { ClozeError } from "../errors.js";
import { pearsonCorrelation } from "../metrics/index.js";
import { textsOf } from "./embed.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";
import { readTexts, type TextRows } from "./text-rows.js";

interface ProbeOptions extends CommonOptions {
  axis: string;
  model?: string;
  text?: string[];
  column?: string;
  compare?: string;
  form: PhraseForm;
  question?: string;
  baseline?: string;
}

async function phrasesOf(file: string | undefined, { text, column }: ProbeOptions): Promise<TextRows> {
  if (file === undefined || file === "-") {
    const texts = textsOf(text ?? [], file);
    return { texts, lines: texts };
  }
  return readTexts(file, column);
}

/** Numbers of another column. */
function numbersOf({ texts, lines }: TextRows, column: string): number[] {
  const wrong = (received: string) =>
    new ClozeError("DATA_COLUMN_MISSING", `There is no column "${column}" of numbers beside the phrases`, {
      expected: "a table (.tsv, .csv, .jsonl) with a number in every row",
      received,
      remedy: "Name another one with --compare.",
    });
  if (texts === lines) throw wrong("texts, one a line");
  return lines.map((line) => {
    const value = (JSON.parse(line) as Record<string, unknown>)[column];
    if (value === undefined || value === "" || Number.isNaN(Number(value))) throw wrong(line);
    return Number(value);
  });
}

/** `cloze probe` */
export function addProbe(program: Command): void {
  program
    .command("probe")
    .description(
      "score phrases along an axis of cloze axis: agreement with norms of the encoder's training text, no more",
    )
    .argument("[file]", "phrases, one a line, or a table; - for standard input; or use --text")
    .requiredOption("--axis <file>", "what cloze axis wrote")
    .option(`--model ${modelArgument}`, "the encoder that it was fitted with (default: the folder that it lies in)")
    .option("--text <phrases...>", "phrases themselves")
    .addOption(
      new Option(
        "--form <form>",
        "qa: in all questions of the axis; raw: in one question; without-question: sentences and free text as they are",
      )
        .choices(phraseForms)
        .default("qa"),
    )
    .option("--question <question>", 'the question of the form raw, such as "Should I {}?" (default: the first one)')
    .option("--column <name>", "the column of the phrases in a table")
    .option("--compare <column>", "a column of numbers in a table: prints Pearson's correlation with the scores")
    .addOption(
      new Option(
        "--baseline <preset>",
        "beside the scores, the cosine baseline with the questions and answers of a preset",
      ).choices(axisPresets.map(({ name }) => name)),
    )
    .action(async (file: string | undefined, options: ProbeOptions) => {
      const { form, question, baseline, compare } = options;
      const rows = await phrasesOf(file, options);
      const people = compare === undefined ? undefined : numbersOf(rows, compare);
      const folder = encoderFolderOf(options.axis, options.model && (await modelFolder(options.model, options)));
      const embedder = loadEmbedder(folder);
      const counts = emptyCounts();
      const scores = loadAxis(options.axis, embedder).score(rows.texts, { form, question, counts });
      if (counts.truncatedTexts > 0) {
        progressFor(options).note(
          `${counts.truncatedTexts} texts were cut to ${embedder.options.maxLength} tokens: their beginnings are scored`,
        );
      }
      const biases =
        baseline === undefined ? undefined : answerBias(embedder, rows.texts, axisPreset(baseline).templates);
      embedder.dispose();
      const scored = rows.texts.map((text, i) => ({
        text,
        score: scores[i],
        ...(biases === undefined ? {} : { baseline: biases[i] }),
      }));
      const correlation = (values: Float64Array) => pearsonCorrelation(people as number[], values);
      const pearson =
        people === undefined
          ? undefined
          : { score: correlation(scores), baseline: biases === undefined ? undefined : correlation(biases) };
      printResult(options, { axis: options.axis, form, phrases: scored, pearson, counts }, () => {
        const names = biases === undefined ? ["score"] : ["score", "baseline"];
        return [
          formatTable([
            ["phrase", ...names],
            ...scored.map(({ text, score, baseline }) =>
              [text, score.toFixed(3)].concat(baseline === undefined ? [] : baseline.toFixed(3)),
            ),
          ]),
          ...(pearson === undefined ? [] : [`Pearson's r of the axis with "${compare}": ${pearson.score.toFixed(3)}`]),
          ...(pearson?.baseline === undefined ? [] : [`of the baseline: ${pearson.baseline.toFixed(3)}`]),
        ].join("\n");
      });
    });
}
