import type { JsonObject, JsonValue } from "../../text/index.js";
import { resolveColumns } from "./columns.js";
import { locate } from "./offsets.js";
import {
  badValue,
  isAbsent,
  listValue,
  numberValue,
  type RowInput,
  sourceOf,
  type TypedRows,
  type TypedRowsOptions,
  textValue,
  typedRows,
} from "./typed-rows.js";
import type { DataWarnings } from "./warnings.js";

/** An answer as a span of its context. */
export interface Answer {
  readonly text: string;
  /** Where it begins in the context, in UTF-16 units; -1 when the file does not say and it is not there. */
  readonly start: number;
}

/** A question about a text. */
export interface QuestionRow {
  readonly id: string;
  readonly question: string;
  readonly context: string;
  /** Right answers, each as good as the others; none where there is no answer, or where it is not known. */
  readonly answers: Answer[];
  /** Whether the context holds no answer. Absent: the file does not say. */
  readonly impossible?: boolean;
  /** Which row of its file, from 1. */
  readonly row: number;
}

/** Parts of {@link readQuestionRows}. */
export type QuestionColumn = "question" | "context" | "answers" | "start" | "id" | "impossible";

const questionRoles = {
  question: { names: ["question", "query"], required: true },
  context: { names: ["context", "passage", "paragraph", "document", "text"], required: true },
  answers: { names: ["answers", "answer", "answer_text"] },
  start: { names: ["answer_start", "start"] },
  id: { names: ["id", "_id", "question_id", "qid"] },
  impossible: { names: ["is_impossible", "impossible"] },
} as const;

interface GivenAnswer {
  readonly text: JsonValue | undefined;
  readonly start: JsonValue | undefined;
}

/** Answers in any of their usual forms: objects, two lists side by side (as `datasets` has them), or plain texts. */
function givenAnswers(value: JsonValue | undefined, start: JsonValue | undefined): GivenAnswer[] | undefined {
  if (isAbsent(value)) return [];
  const list = listValue(value);
  if (list !== undefined) {
    const starts = Array.isArray(start) ? start : list.length === 1 ? [start ?? null] : [];
    return list.map((one, i): GivenAnswer => {
      if (one === null || typeof one !== "object" || Array.isArray(one)) return { text: one, start: starts[i] };
      return { text: one.text ?? one.answer, start: one.answer_start ?? one.start };
    });
  }
  if (typeof value === "string" && value.trimStart().startsWith("{")) {
    try {
      return givenAnswers(JSON.parse(value) as JsonValue, start);
    } catch {
      // A text that begins with a brace.
    }
  }
  if (typeof value !== "object" || Array.isArray(value)) return [{ text: value, start }];
  const { text, answer_start: starts } = value;
  if (!Array.isArray(text)) return text === undefined ? undefined : [{ text, start: starts ?? value.start }];
  return text.map((one, i) => ({ text: one, start: Array.isArray(starts) ? starts[i] : undefined }));
}

function answerAt(
  { text, start }: GivenAnswer,
  context: string,
  column: string,
  place: string,
  warnings: DataWarnings,
): Answer {
  if (typeof text !== "string" && typeof text !== "number") throw badValue(place, column, "answers with a text", text);
  const surface = String(text);
  if (isAbsent(start)) {
    const first = context.indexOf(surface);
    if (first >= 0 && context.includes(surface, first + 1)) {
      const message = "answers without a place that occur more than once; the first was taken";
      warnings.add("DATA_ANSWER_AMBIGUOUS", message, place);
    }
    return { text: surface, start: first };
  }
  const given = numberValue(start, column, place);
  const found = locate(context, surface, given);
  if (found?.unit === "code-point") {
    const message = "answers whose place counts code points (as Python does); converted to UTF-16 units";
    warnings.add("DATA_CODE_POINTS", message, place);
  }
  return { text: surface, start: found?.start ?? given };
}

const truthy = (value: JsonValue | undefined): boolean =>
  value === true || value === 1 || /^(?:true|1)$/i.test(`${value}`);

/**
 * Questions with contexts and answers: from SQuAD 1.1 and 2.0, or rows of question, context and answers, which may be
 * `[{ text, answer_start }]`, `{ text: [], answer_start: [] }`, texts, or one text with its place in another column. An
 * answer without a place is looked for. Whether answers stand where they should is for `checkData` to say.
 *
 * @throws DATA_COLUMN_MISSING, DATA_VALUE, and what `openRows` throws
 */
export async function readQuestionRows(
  input: RowInput,
  options: TypedRowsOptions<QuestionColumn> = {},
): Promise<TypedRows<QuestionRow, QuestionColumn>> {
  const source = sourceOf(input, options);
  const available = await source.columns();
  const resolved = resolveColumns<QuestionColumn>(source.path, available, questionRoles, options.columns);
  const { question, context, answers, start, id, impossible } = resolved.columns;
  const convert = (values: JsonObject, place: string, number: number): QuestionRow => {
    const text = textValue(values, context as string, place);
    const given =
      answers === undefined ? [] : givenAnswers(values[answers], start === undefined ? undefined : values[start]);
    if (given === undefined) throw badValue(place, answers as string, "answers with texts", values[answers as string]);
    const said = impossible === undefined || isAbsent(values[impossible]) ? undefined : truthy(values[impossible]);
    return {
      id: id === undefined || isAbsent(values[id]) ? String(number) : textValue(values, id, place),
      question: textValue(values, question as string, place),
      context: text,
      // SQuAD 2.0 may list plausible answers of questions that have none.
      answers: said === true ? [] : given.map((one) => answerAt(one, text, answers as string, place, source.warnings)),
      ...(said !== undefined && { impossible: said }),
      row: number,
    };
  };
  return typedRows<QuestionRow, QuestionColumn>(source, resolved, options.onBadRow, (values, place, { number }) =>
    convert(values, place, number),
  );
}
