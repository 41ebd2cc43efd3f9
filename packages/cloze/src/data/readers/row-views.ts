// What `checkData` looks at in a row of each task: its texts, its labels, and what is wrong with that one row.
import type { ChoiceRow } from "./choice-rows.js";
import type { FindingCounter } from "./findings.js";
import { locate } from "./offsets.js";
import type { QuestionRow } from "./question-rows.js";
import type { RankingRow } from "./ranking-rows.js";
import { parseTags, type TagScheme } from "./tag-scheme.js";
import type { DataTask, TaskRows } from "./tasks.js";
import type { TextRow } from "./text-rows.js";
import type { TokenRow } from "./token-rows.js";

/** A row as all tasks have it. */
export interface RowView {
  /** What a model reads, in order; the second is the pair's. */
  readonly texts: readonly string[];
  /** Classes, for counting; undefined when the row is not labelled. */
  readonly labels: readonly string[] | undefined;
  /** Of a regression. */
  readonly value?: number;
}

/** Looks at a row; adds what is wrong with it. */
export type ViewRow<Row> = (row: Row, findings: FindingCounter) => RowView;

const quote = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}…` : text);

function viewText({ text, pair, label }: TextRow): RowView {
  return {
    texts: pair === undefined ? [text] : [text, pair],
    labels: label === undefined ? undefined : Array.isArray(label) ? label : [String(label)],
    ...(typeof label === "number" && { value: label }),
  };
}

function viewTokens({ tokens, tags, row }: TokenRow, findings: FindingCounter, scheme: TagScheme | undefined): RowView {
  const blank = tokens.filter((token) => token.trim() === "").length;
  if (blank > 0) findings.add("warning", "TOKEN_EMPTY", "tokens without a character", `row ${row}`, blank);
  const texts = [tokens.join(" ")];
  if (tags === undefined) return { texts, labels: undefined };
  if (tags.length !== tokens.length) {
    findings.add("error", "TAG_COUNT", "rows with another number of tags than tokens", `row ${row}`);
  }
  if (scheme === undefined) return { texts, labels: tags };
  const { spans, faults } = parseTags(tags, scheme);
  for (const { position, tag, before } of faults) {
    const example = `row ${row}, token ${position + 1}: ${tag} after ${before ?? "the start"}`;
    findings.add("warning", "TAG_TRANSITION", `tags that break the scheme ${scheme}`, example);
  }
  return { texts, labels: spans.map(({ label }) => label) };
}

function viewQuestion(
  { id, question, context, answers, impossible, row }: QuestionRow,
  findings: FindingCounter,
  ids: Set<string>,
): RowView {
  if (ids.has(id)) {
    const message = "questions with the id of an earlier one: scorers by id keep one of them";
    findings.add("warning", "ID_DUPLICATE", message, `row ${row}: ${quote(id)}`);
  }
  ids.add(id);
  for (const { text, start } of answers) {
    const example = `row ${row}: ${quote(text)} at ${start}`;
    if (text.trim() === "") findings.add("error", "ANSWER_EMPTY", "answers without text", `row ${row}`);
    else if (start < 0 || !context.startsWith(text, start)) {
      if (context.includes(text)) {
        const message = "answers that are not at their place, but elsewhere in the context";
        findings.add("warning", "ANSWER_OFFSET", message, `${example}, found at ${context.indexOf(text)}`);
      } else if (locate(context.toLowerCase(), text.toLowerCase(), start) !== undefined) {
        findings.add("warning", "ANSWER_CASE", "answers that stand in other case at their place", example);
      } else findings.add("error", "ANSWER_ABSENT", "answers that are nowhere in their context", example);
    }
  }
  if (impossible === false && answers.length === 0) {
    findings.add("warning", "ANSWER_MISSING", "questions that are answerable, but have no answer", `row ${row}`);
  }
  const known = answers.length > 0 || impossible === true;
  return { texts: [question, context], labels: known ? [answers.length > 0 ? "answerable" : "impossible"] : undefined };
}

function viewChoice({ context, question, choices, label, row }: ChoiceRow, findings: FindingCounter): RowView {
  if (choices.length < 2) findings.add("error", "CHOICES_FEW", "rows with fewer than two choices", `row ${row}`);
  if (new Set(choices).size < choices.length) {
    findings.add("warning", "CHOICES_EQUAL", "rows with the same choice twice", `row ${row}`);
  }
  const first = [context, question].filter((part) => part !== undefined).join(" ");
  return {
    texts: first === "" ? [choices.join(" ")] : [first, choices.join(" ")],
    labels: label === undefined ? undefined : [String(label)],
  };
}

function viewRanking({ query, candidates, relevance, row }: RankingRow, findings: FindingCounter): RowView {
  const empty = candidates.filter((text) => text.trim() === "").length;
  if (empty > 0) findings.add("error", "DOCUMENT_EMPTY", "documents without text", `row ${row}`, empty);
  if (candidates.length === 0) findings.add("error", "CANDIDATES_NONE", "queries without documents", `row ${row}`);
  if (new Set(candidates).size < candidates.length) {
    findings.add("warning", "CANDIDATES_EQUAL", "queries with the same document twice", `row ${row}`);
  }
  if (relevance !== undefined && candidates.length > 0 && !relevance.some((one) => one > 0)) {
    findings.add("warning", "RELEVANT_NONE", "queries without a relevant document", `row ${row}: ${quote(query)}`);
  }
  return { texts: [query], labels: relevance?.map(String) };
}

/** How to look at the rows of a task. `scheme` is that of the tags, if they have one. */
export function viewOf<Task extends DataTask>(task: Task, scheme?: TagScheme): ViewRow<TaskRows[Task]> {
  const ids = new Set<string>();
  const views: { [Name in DataTask]: ViewRow<TaskRows[Name]> } = {
    classification: viewText,
    "multi-label": viewText,
    regression: viewText,
    "token-classification": (row, findings) => viewTokens(row, findings, scheme),
    "question-answering": (row, findings) => viewQuestion(row, findings, ids),
    "multiple-choice": viewChoice,
    ranking: viewRanking,
    "fill-mask": viewText,
  };
  return views[task];
}
