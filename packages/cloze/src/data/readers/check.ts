import { createHash } from "node:crypto";
import { createFindings, type Finding, type FindingCounter, type LengthSummary, summarizeLengths } from "./findings.js";
import { type RowView, viewOf } from "./row-views.js";
import { guessTagScheme, type TagScheme } from "./tag-scheme.js";
import type { DataTask, TaskRows } from "./tasks.js";
import type { DataWarnings } from "./warnings.js";

/** Rows to check: any of the typed readers', or an array. */
export type CheckedRows<Row> = (AsyncIterable<Row> | Iterable<Row>) & { readonly warnings?: DataWarnings };

/** Options of {@link checkData}. */
export interface CheckDataOptions<Row> {
  /** Rows to evaluate on: checked too, and against the others. */
  dev?: CheckedRows<Row>;
  /** The classes that are known; others are errors. */
  labels?: readonly string[];
  /** Tokens that a model sees of a text (or of a pair), special ones included. */
  countTokens?: (text: string, pair?: string) => number;
  /** What a model can read, in tokens; longer rows are counted. */
  maxTokens?: number;
  /** The scheme of tags; guessed from the first 1,000 rows unless told. */
  scheme?: TagScheme;
}

/** What was found in one set of rows. */
export interface DataReport {
  readonly rows: number;
  /** Rows without a label. */
  readonly unlabelled: number;
  /** Class → count; of tags in a scheme, spans are counted. Empty for a regression. */
  readonly labels: Readonly<Record<string, number>>;
  /** Of a regression: how its numbers lie. */
  readonly values?: LengthSummary;
  /** The scheme of the tags, of token classification. */
  readonly scheme?: TagScheme;
  /** Of what a row holds, a pair together; in UTF-16 units. */
  readonly characters: LengthSummary;
  /** In tokens, where `countTokens` was given. */
  readonly tokens?: LengthSummary;
  readonly findings: readonly Finding[];
}

/** What {@link checkData} found. */
export interface CheckedData extends DataReport {
  /** Of `dev`; findings about both sets stand here. */
  readonly dev?: DataReport;
  /** Whether nothing of level `error` was found. */
  readonly ok: boolean;
}

interface Pass {
  readonly report: Omit<DataReport, "findings">;
  readonly findings: FindingCounter;
  /** Text's digest → its labels. */
  readonly seen: ReadonlyMap<string, string>;
}

// Millions of texts are told apart by 96 bits each.
const digest = (texts: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(texts)).digest("base64").slice(0, 16);
const quote = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}…` : text);

async function schemeOf(rows: CheckedRows<unknown>, task: DataTask): Promise<TagScheme | undefined> {
  if (task !== "token-classification") return undefined;
  const sample: string[][] = [];
  for await (const { tags } of rows as AsyncIterable<TaskRows["token-classification"]>) {
    if (tags !== undefined) sample.push(tags);
    if (sample.length === 1000) break;
  }
  return sample.length === 0 ? undefined : guessTagScheme(sample);
}

/** Findings about the classes as a whole. */
function checkLabels(
  task: DataTask,
  labels: ReadonlyMap<string, number>,
  known: readonly string[] | undefined,
  findings: FindingCounter,
): void {
  for (const [label, count] of labels) {
    if (known !== undefined && !known.includes(label)) {
      findings.add("error", "LABEL_UNKNOWN", "labels that are none of the known", `${label} (${count})`, count);
    }
  }
  if (task !== "classification" && task !== "multi-label") return;
  const byName = new Map<string, string[]>();
  for (const label of labels.keys()) {
    const name = label.trim().toLowerCase();
    byName.set(name, [...(byName.get(name) ?? []), label]);
  }
  for (const names of byName.values()) {
    if (names.length === 1) continue;
    findings.add("warning", "LABEL_VARIANTS", "labels that differ in case or spaces only", JSON.stringify(names));
  }
  const [most, least] = [Math.max(...labels.values()), Math.min(...labels.values())];
  if (labels.size === 1 && task === "classification") {
    findings.add("error", "ONE_CLASS", "all rows have the same label", [...labels.keys()][0], most);
  } else if (labels.size > 1 && most >= 10 * least) {
    const rare = [...labels].filter(([, count]) => count * 10 <= most);
    const message = "classes ten times rarer than the most frequent (macro-F1 says more than accuracy here)";
    findings.add(
      "warning",
      "IMBALANCE",
      message,
      rare
        .map(([label, n]) => `${label}: ${n}`)
        .slice(0, 8)
        .join(", "),
      rare.length,
    );
  }
}

async function pass<Task extends DataTask>(
  rows: CheckedRows<TaskRows[Task]>,
  task: Task,
  options: CheckDataOptions<TaskRows[Task]>,
): Promise<Pass> {
  const { countTokens, maxTokens } = options;
  const findings = createFindings();
  const scheme = options.scheme ?? (await schemeOf(rows, task));
  const view = viewOf(task, scheme);
  const seen = new Map<string, string>();
  const labels = new Map<string, number>();
  const characters: number[] = [];
  const tokens: number[] = [];
  const values: number[] = [];
  let [count, unlabelled] = [0, 0];
  const checkText = ({ texts, labels: said }: RowView, row: number): void => {
    if (texts.some((text) => text.trim() === ""))
      findings.add("error", "TEXT_EMPTY", "rows with an empty text", `row ${row}`);
    const key = digest(texts);
    const label = JSON.stringify(said ?? null);
    const before = seen.get(key);
    const example = `row ${row}: ${quote(texts.join(" | "))}`;
    if (before === undefined) seen.set(key, label);
    else if (before === label) findings.add("warning", "TEXT_DUPLICATE", "rows that repeat an earlier one", example);
    else findings.add("warning", "LABEL_CONFLICT", "rows with the text of an earlier one, and another label", example);
    characters.push(texts.reduce((sum, text) => sum + text.length, 0));
    if (countTokens === undefined) return;
    const length = countTokens(texts[0], texts[1]);
    tokens.push(length);
    if (maxTokens !== undefined && length > maxTokens) {
      findings.add(
        "warning",
        "TOO_LONG",
        `rows of more than ${maxTokens} tokens, which will be cut`,
        `row ${row}: ${length}`,
      );
    }
  };
  for await (const row of rows) {
    count++;
    const viewed = view(row, findings);
    checkText(viewed, row.row);
    if (viewed.labels === undefined) unlabelled++;
    else if (viewed.value !== undefined) values.push(viewed.value);
    else for (const label of viewed.labels) labels.set(label, (labels.get(label) ?? 0) + 1);
  }
  for (const { code, message, count: times, first } of rows.warnings?.list() ?? []) {
    // Training stops at a row that does not fit.
    findings.add(code === "DATA_ROW_SKIPPED" ? "error" : "warning", code, message, first, times);
  }
  if (count === 0) findings.add("error", "ROWS_NONE", "there are no rows");
  if (unlabelled > 0 && unlabelled < count) {
    findings.add("warning", "LABEL_MISSING", "rows without a label", undefined, unlabelled);
  } else if (unlabelled > 0) findings.add("note", "LABEL_MISSING", "no row has a label", undefined, unlabelled);
  if (values.length > 1 && values.every((value) => value === values[0])) {
    findings.add("error", "ONE_VALUE", "all rows have the same number", String(values[0]), values.length);
  }
  checkLabels(task, labels, options.labels, findings);
  return {
    report: {
      rows: count,
      unlabelled,
      labels: Object.fromEntries(labels),
      ...(values.length > 0 && { values: summarizeLengths(values) }),
      ...(scheme !== undefined && { scheme }),
      characters: summarizeLengths(characters),
      ...(countTokens !== undefined && { tokens: summarizeLengths(tokens) }),
    },
    findings,
    seen,
  };
}

/** Findings about two sets: they are added to the second. */
function compare(train: Pass, dev: Pass): void {
  const both = [...dev.seen.keys()].filter((key) => train.seen.has(key)).length;
  if (both > 0) {
    const message = "different texts that stand in both sets: results on them say little";
    dev.findings.add("warning", "TEXT_IN_BOTH", message, undefined, both);
  }
  const labelled = train.report.unlabelled < train.report.rows;
  for (const [label, count] of Object.entries(dev.report.labels)) {
    if (!labelled || Object.hasOwn(train.report.labels, label)) continue;
    dev.findings.add("error", "LABEL_UNSEEN", "labels that do not occur in training", `${label} (${count})`, count);
  }
}

/**
 * Looks through data before it is trained on: empty, repeated and contradicting texts, labels (counts, unknown ones, rare
 * ones, a single one), tags that break their scheme, answers that are not where they should be, lengths; and between two
 * sets: texts in both, and labels that training never sees. All are counted, with up to three examples; nothing throws
 * but what reading throws.
 *
 * @example
 * const train = await readTextRows("train.tsv");
 * const report = await checkData(train, "classification", { dev: await readTextRows("dev.tsv") });
 * if (!report.ok) console.log(report.findings);
 */
export async function checkData<Task extends DataTask>(
  rows: CheckedRows<TaskRows[Task]>,
  task: Task,
  options: CheckDataOptions<TaskRows[Task]> = {},
): Promise<CheckedData> {
  const train = await pass(rows, task, options);
  const reportOf = ({ report, findings }: Pass): DataReport => ({ ...report, findings: findings.list() });
  if (options.dev === undefined) {
    const report = reportOf(train);
    return { ...report, ok: report.findings.every(({ level }) => level !== "error") };
  }
  const dev = await pass(options.dev, task, options);
  compare(train, dev);
  const [first, second] = [reportOf(train), reportOf(dev)];
  const ok = [...first.findings, ...second.findings].every(({ level }) => level !== "error");
  return { ...first, dev: second, ok };
}
