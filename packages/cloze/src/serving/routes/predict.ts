// text-embeddings-inference's /predict: labels with scores.
import { z } from "zod";
import { sigmoid, softmaxOf } from "../../tasks/outputs.js";
import type { TaskAbility } from "../abilities/task.js";
import { encodeInput } from "../encode-input.js";
import { checkBatchSize, chooseModel, compute, countCharacters, countDropped, encodeAll } from "../http/exchange.js";
import { defineRoute } from "../http/route.js";
import { directionField, inputList, modelField, readingOf, truncateField } from "./fields.js";
import { listOf } from "./list-of.js";

const single = z.string();
const pair = z.tuple([z.string(), z.string()]);
const alone = z.tuple([z.string()]);
const inputsSchema = z.union([single, pair, alone, listOf(z.union([alone, pair]), "")], {
  error: "expected a text, a pair of texts [text, text], or a batch of texts and pairs [[text], [text, text], …]",
});

const predictionsSchema = z.array(z.object({ label: z.string(), score: z.number() }));

/** Labels with what the model says of them, best first. */
function scored({ labels = [], several }: TaskAbility, logits: Float32Array, raw: boolean) {
  // A reranker's one number is a probability by itself.
  const independent = several || logits.length === 1;
  const scores = raw ? Array.from(logits) : independent ? Array.from(logits, sigmoid) : softmaxOf(logits);
  return labels.map((label, i) => ({ label, score: scores[i] })).sort((a, b) => b.score - a.score);
}

export const predict = defineRoute({
  method: "POST",
  paths: ["/predict"],
  dialect: "tei",
  group: "Text Embeddings Inference",
  summary: "Labels of texts or of pairs of texts, best first",
  example: { inputs: "a lovely film" },
  body: z.object({
    inputs: inputsSchema,
    raw_scores: z.boolean().default(false).describe("the model's numbers instead of probabilities"),
    truncate: truncateField,
    truncation_direction: directionField,
    model: modelField,
  }),
  response: z.union([predictionsSchema, z.array(predictionsSchema)]),
  inference: true,
  async handle(body, exchange) {
    const { inputs, raw_scores, model } = body;
    const isBatch = Array.isArray(inputs) && typeof inputs[0] !== "string";
    const list = (isBatch ? inputs : [inputs]) as (string | [string] | [string, string])[];
    const rows = list.map((row) => (typeof row === "string" ? [row] : row) as [string, string?]);
    inputList(rows.flat() as string[]);
    const served = chooseModel(
      exchange,
      model,
      ({ abilities }) => abilities.task?.labels !== undefined,
      "a classifier model",
    );
    checkBatchSize(rows.length, exchange.state.settings.maxClientBatchSize, "inputs");
    countCharacters(exchange, rows.flat());
    const task = served.abilities.task as TaskAbility;
    const { truncate, direction } = readingOf(exchange.state, body);
    const cut = { maxLength: served.maxLength, truncate, direction };
    const units = await encodeAll(exchange, rows, ([text, second]) =>
      encodeInput(served.tokenizer, { text, pair: second }, cut),
    );
    countDropped(exchange, units);
    const { results } = await compute(exchange, task.program, units);
    const predictions = results.map((logits) => scored(task, logits, raw_scores));
    return isBatch ? predictions : predictions[0];
  },
});
