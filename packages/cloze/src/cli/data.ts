import { type Command, Option } from "commander";
import {
  type CheckDataOptions,
  checkData,
  type DataReport,
  type DataTask,
  dataTasks,
  type Finding,
  type LengthSummary,
  readTaskRows,
  type TaskRows,
  type TypedRows,
} from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { loadTokenizer } from "../text/index.js";
import { wholeNumber } from "./arguments.js";
import { type DataOptions, readOptionsOf, withDataOptions } from "./data-options.js";
import { tokenizerPath } from "./model-argument.js";
import { type CommonOptions, printResult } from "./output.js";

interface CheckOptions extends CommonOptions, DataOptions {
  task: DataTask;
  train?: string;
  dev?: string;
  labels?: string[];
  tokenizer?: string;
  maxLength?: number;
}

interface CheckedFile extends DataReport {
  path: string;
  columns: Readonly<Partial<Record<string, string>>>;
  guesses: readonly string[];
}

const count = (value: number): string => value.toLocaleString("en-US");
const size = (value: number): string => (Number.isInteger(value) ? count(value) : value.toFixed(1));

const lengthLine = (what: string, lengths: LengthSummary): string =>
  `  ${what}: ${size(lengths.least)} to ${size(lengths.most)}, median ${size(lengths.median)}, mean ${lengths.mean.toFixed(1)}, 95 % at most ${size(lengths.percentile95)}`;

function findingLines({ level, code, message, count: times, examples }: Finding): string[] {
  return [`  ${level} ${code}: ${count(times)} × ${message}`, ...examples.map((example) => `    ${example}`)];
}

function fileLines(file: CheckedFile): string[] {
  const labels = Object.entries(file.labels).sort(([, a], [, b]) => b - a);
  const shown = labels.slice(0, 12).map(([label, times]) => `${label} ${count(times)}`);
  if (labels.length > 12) shown.push(`and ${labels.length - 12} more`);
  return [
    `${file.path}: ${count(file.rows)} rows`,
    ...file.guesses.map((guess) => `  ${guess} (guessed)`),
    ...(file.scheme === undefined ? [] : [`  tags: ${file.scheme}`]),
    ...(shown.length > 0 ? [`  labels: ${shown.join(" · ")}`] : []),
    ...(file.values === undefined ? [] : [lengthLine("values", file.values)]),
    lengthLine("characters", file.characters),
    ...(file.tokens === undefined ? [] : [lengthLine("tokens", file.tokens)]),
    ...file.findings.flatMap(findingLines),
  ];
}

async function checkFiles<Task extends DataTask>(
  task: Task,
  files: readonly string[],
  options: CheckOptions,
): Promise<CheckedFile[]> {
  const read = (path: string) => readTaskRows(task, path, { ...readOptionsOf(options), onBadRow: "skip" });
  const named = options.tokenizer;
  const tokenizer = named === undefined ? undefined : loadTokenizer(await tokenizerPath(named, options));
  const common: CheckDataOptions<TaskRows[Task]> = {
    labels: options.labels,
    scheme: options.scheme,
    maxTokens: options.maxLength,
    ...(tokenizer !== undefined && {
      countTokens: (text, pair) => tokenizer.encodeIds(text, { pair, truncation: false }).length,
    }),
  };
  const described = (rows: TypedRows<TaskRows[Task]>, report: DataReport): CheckedFile => ({
    path: rows.path,
    columns: rows.columns,
    guesses: rows.guesses,
    ...report,
  });
  const checked: CheckedFile[] = [];
  if (options.train !== undefined) {
    const train = await read(options.train);
    const dev = options.dev === undefined ? undefined : await read(options.dev);
    const { dev: devReport, ok: _, ...report } = await checkData(train, task, { ...common, dev });
    checked.push(described(train, report));
    if (dev !== undefined && devReport !== undefined) checked.push(described(dev, devReport));
  }
  for (const path of files) {
    const rows = await read(path);
    const { ok: _, ...report } = await checkData(rows, task, common);
    checked.push(described(rows, report));
  }
  return checked;
}

/** `cloze data check` */
export function addData(program: Command): void {
  const data = program.command("data").description("work with labelled data");
  const command = data
    .command("check")
    .description("look through labelled data before training on it; exit status 1 if something in it is an error")
    .argument("[files...]", "files to check one by one: TSV, CSV, JSON lines, JSON, SQuAD, CoNLL, Parquet; also packed")
    .addOption(new Option("--task <task>", "what the rows are for").choices(dataTasks).makeOptionMandatory())
    .option("--train <file>", "rows to train on")
    .option("--dev <file>", "rows to evaluate on, checked against --train too")
    .option("--labels <names>", "the labels that are known: a,b,c", (text: string) => text.split(","))
    .option("--tokenizer <path|id>", "tokenizer.json, its folder or a hub id: lengths in tokens too")
    .addOption(new Option("--max-length <tokens>", "what the model can read").argParser(wholeNumber(4)));
  withDataOptions(command).action(async (files: string[], options: CheckOptions) => {
    if (files.length === 0 && options.train === undefined) {
      throw new ClozeError("DATA_FILE_MISSING", "No file was named", {
        expected: "files, or --train and --dev",
        received: "none",
      });
    }
    if (options.dev !== undefined && options.train === undefined) {
      throw new ClozeError("DATA_FILE_MISSING", "--dev is checked against --train", {
        expected: "--train too",
        received: "--dev alone",
        remedy: "To check one file by itself, name it without an option.",
      });
    }
    const checked = await checkFiles(options.task, files, options);
    const findings = checked.flatMap((file) => file.findings);
    const errors = findings.filter(({ level }) => level === "error").length;
    const warnings = findings.filter(({ level }) => level === "warning").length;
    const summary = `${errors} kinds of errors, ${warnings} kinds of warnings`;
    printResult(options, { ok: errors === 0, files: checked }, () =>
      [...checked.map((file) => fileLines(file).join("\n")), summary].join("\n\n"),
    );
    if (errors > 0) process.exitCode = 1;
  });
}
