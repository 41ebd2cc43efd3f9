// What models were fine-tuned for: the predictions that `cloze predict` writes, and `cloze fill-mask`.
import { z } from "zod";
import { splitWordSteps } from "../../data/readers/span-tags.js";
import { inSlices, type Steps } from "../../text/index.js";
import { predictionsOf, type TaskRow } from "../abilities/task.js";
import { encodeInput } from "../encode-input.js";
import {
  checkBatchSize,
  chooseAbility,
  chooseModel,
  compute,
  countCharacters,
  countDropped,
  type Exchange,
  encodeAll,
} from "../http/exchange.js";
import { defineRoute } from "../http/route.js";
import { ServingError } from "../serving-error.js";
import { inputList, modelField, textField, textsField } from "./fields.js";
import { isText, listOf } from "./list-of.js";

const group = "Cloze";

/** Predictions for inputs of a model whose task is one of those. @param rowOf the task's row for an input, in steps */
async function predictions<Input>(
  exchange: Exchange,
  model: string | null | undefined,
  { names, what }: { names: readonly string[]; what: string },
  inputs: readonly Input[],
  rowOf: (input: Input, place: number) => Steps<object>,
): Promise<unknown[]> {
  const served = chooseModel(exchange, model, ({ abilities: { task } }) => names.includes(task?.task.name ?? ""), what);
  const ability = served.abilities.task as NonNullable<typeof served.abilities.task>;
  checkBatchSize(inputs.length, exchange.state.settings.maxClientBatchSize, "inputs");
  const onCut = () => {
    exchange.cost.dropped++;
  };
  const encoded: TaskRow[] = await encodeAll(exchange, [...inputs.entries()], function* ([place, input]) {
    const row = yield* rowOf(input, place);
    countCharacters(exchange, Object.values(row));
    return yield* ability.encode(row, onCut);
  });
  const answer = await compute(
    exchange,
    ability.program,
    encoded.flatMap(({ units }) => units),
  );
  return inSlices(predictionsOf(encoded, answer), { signal: exchange.signal });
}

/** One answer for one input, a list for a list. */
const likeInputs = <T>(inputs: unknown, answers: readonly T[]): T | readonly T[] =>
  Array.isArray(inputs) ? answers : answers[0];

const textOrPair = z.union([z.string(), z.object({ text: z.string(), pair: z.string().optional() })], {
  error: "expected a text, or an object with `text` and `pair`",
});

const classification = z.object({
  label: z.string().optional(),
  score: z.number().optional(),
  labels: z.array(z.string()).optional().describe("where several labels may hold: those that reach their thresholds"),
  scores: z.record(z.string(), z.number()).optional(),
  value: z.number().optional().describe("of a regression"),
});

const classify = defineRoute({
  method: "POST",
  paths: ["/classify", "/v1/classify"],
  dialect: "tei",
  group,
  summary: "The class (or classes, or number) of texts or pairs of texts",
  example: { inputs: "a lovely film" },
  body: z.object({
    inputs: z.union([textOrPair, listOf(textOrPair, "", { isRight: isText })], {
      error: "expected a text, { text, pair }, or a list of these",
    }),
    model: modelField,
  }),
  response: z.union([classification, z.array(classification)]),
  inference: true,
  async handle({ inputs, model }, exchange) {
    const list = Array.isArray(inputs) ? inputs : [inputs];
    inputList(list.map((input) => (typeof input === "string" ? input : input.text)));
    // biome-ignore lint/correctness/useYield: a text is a row already
    function* rowOf(input: (typeof list)[number], i: number): Steps<object> {
      return { ...(typeof input === "string" ? { text: input } : input), row: i + 1 };
    }
    const tasks = { names: ["classification", "multi-label", "regression"], what: "a classifier" };
    return likeInputs(inputs, await predictions(exchange, model, tasks, list, rowOf));
  },
});

const entities = z.object({
  text: z.string(),
  entities: z.array(z.object({ start: z.int(), end: z.int(), label: z.string(), text: z.string(), score: z.number() })),
  tags: z.array(z.string()),
});

const recognise = defineRoute({
  method: "POST",
  paths: ["/ner", "/token_classify"],
  dialect: "tei",
  group,
  summary: "Entities of texts as spans of characters (UTF-16), and a tag for each word",
  example: { inputs: "Ada Lovelace was born in London." },
  body: z.object({ inputs: textsField, model: modelField }),
  response: z.union([entities, z.array(entities)]),
  inference: true,
  async handle({ inputs, model }, exchange) {
    const texts = inputList(inputs) as string[];
    function* rowOf(text: string, i: number): Steps<object> {
      return { ...(yield* splitWordSteps(text)), text, row: i + 1 };
    }
    const tasks = { names: ["token-classification"], what: "a model for named entities" };
    return likeInputs(inputs, await predictions(exchange, model, tasks, texts, rowOf));
  },
});

const question = z.object({ question: textField, context: textField });
const found = z.object({
  answer: z.string(),
  candidates: z.array(
    z.object({ text: z.string(), start: z.int(), end: z.int(), score: z.number(), probability: z.number() }),
  ),
  noAnswerScore: z.number().optional(),
});

const answerQuestions = defineRoute({
  method: "POST",
  paths: ["/qa"],
  dialect: "tei",
  group,
  summary: "Where in a context the answer to a question stands",
  example: { question: "Where was Ada born?", context: "Ada Lovelace was born in London." },
  body: z
    .object({
      inputs: z
        .union([question, listOf(question, "")], { error: "expected { question, context }, or a list of these" })
        .optional(),
      question: textField.optional(),
      context: textField.optional(),
      model: modelField,
    })
    .describe("`question` and `context`, or `inputs` with one or more of these"),
  response: z.union([found, z.array(found)]),
  inference: true,
  async handle({ inputs, question: asked, context, model }, exchange) {
    const given = inputs ?? (asked === undefined || context === undefined ? undefined : { question: asked, context });
    if (given === undefined)
      throw new ServingError("validation", "expected `question` and `context`", { field: "question" });
    const list = Array.isArray(given) ? given : [given];
    inputList(list.flatMap((one) => [one.question, one.context]));
    // biome-ignore lint/correctness/useYield: a question with its context is a row already
    function* rowOf(one: (typeof list)[number], i: number): Steps<object> {
      return { ...one, id: String(i), answers: [], row: i + 1 };
    }
    const tasks = { names: ["question-answering"], what: "a model for question answering" };
    const answers = await predictions(exchange, model, tasks, list, rowOf);
    return likeInputs(
      given,
      answers.map((answer) => ({ ...(answer as object), id: undefined })),
    );
  },
});

const filled = z.object({
  text: z.string(),
  masks: z.array(z.array(z.object({ token: z.string(), id: z.int(), probability: z.number() }))),
});

const fillMask = defineRoute({
  method: "POST",
  paths: ["/fill-mask", "/fill_mask"],
  dialect: "tei",
  group,
  summary: "What stands at the masks of texts",
  example: { inputs: "the cat sat on the [MASK] .", top: 3 },
  body: z.object({
    inputs: textsField.describe("each with at least one mask token, such as [MASK]"),
    top: z.int().min(1).max(100).default(5).describe("predictions for each mask"),
    model: modelField,
  }),
  response: z.union([filled, z.array(filled)]),
  inference: true,
  async handle({ inputs, top, model }, exchange) {
    const texts = inputList(inputs) as string[];
    const { served, ability } = chooseAbility(exchange, model, "mask");
    checkBatchSize(texts.length, exchange.state.settings.maxClientBatchSize, "inputs");
    countCharacters(exchange, texts);
    const { tokenizer, maxLength } = served;
    const { maskId } = tokenizer;
    const cut = { maxLength, truncate: exchange.state.settings.autoTruncate, direction: "right" as const };
    const units = await encodeAll(exchange, texts, function* (text) {
      const unit = yield* encodeInput(tokenizer, { text }, cut);
      if (unit.ids.includes(maskId)) return { ...unit, top };
      throw new ServingError(
        "validation",
        `A text has no ${tokenizer.idToToken(maskId)} in its first ${maxLength} tokens`,
        { field: "inputs" },
      );
    });
    countDropped(exchange, units);
    const { results } = await compute(exchange, ability.program, units);
    return likeInputs(
      inputs,
      results.map((masks, i) => ({ text: texts[i], masks })),
    );
  },
});

export const taskRoutes = [classify, recognise, answerQuestions, fillMask];
