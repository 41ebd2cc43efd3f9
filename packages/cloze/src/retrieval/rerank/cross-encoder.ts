// A cross-encoder: a fine-tuned model that reads a query and a document (or two) at once.
import { noGrad, scope } from "@cloze/tensor";
import { groupByTokenBudget, type Sequence } from "../../data/packed-batch.js";
import { createWarnings, type DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import { encodeText } from "../../tasks/encode-text.js";
import type { TaskModel } from "../../tasks/run.js";
import { packExamples } from "../../tasks/task-batch.js";

/** Scores of queries with documents: higher is more relevant. */
export interface CrossEncoder {
  /**
   * Pointwise (monoBERT, Nogueira and Cho 2019): the log-probability of the relevant class, or the only logit.
   *
   * @returns one score for each document
   */
  scorePairs(query: string, documents: readonly string[]): Float32Array;
  /**
   * Pairwise (duoBERT, Nogueira 2019): how likely the first of two documents is the more relevant one. The sequence is
   * `[CLS] query [SEP] first [SEP] second [SEP]`, both documents cut to the same length.
   *
   * @param pairs places in `documents`
   */
  scoreDuels(query: string, documents: readonly string[], pairs: readonly (readonly [number, number])[]): Float32Array;
}

export interface CrossEncoderOptions {
  /** The class that means relevant, of a model that classifies; guessed by its name unless told. */
  relevant?: string;
  /** Tokens per forward pass. Default 8192. */
  tokenBudget?: number;
  /** Tokens of a query at most. Default 64. */
  queryLength?: number;
  warnings?: DataWarnings;
}

const relevantNames = ["1", "relevant", "true", "yes", "positive", "entailment", "support", "label_1"];

/** The place of the relevant class among a model's outputs. */
function relevantPlace(settings: unknown, given: string | undefined): number {
  const { names } = settings as { names?: readonly string[] };
  if (names === undefined) return 0;
  const wanted = given === undefined ? relevantNames : [given.toLowerCase()];
  const place = names.findIndex((name) => wanted.includes(name.toLowerCase()));
  if (place >= 0) return place;
  throw new ClozeError("RERANKER_LABEL", "Which class of the model means relevant is unclear", {
    expected: given === undefined ? `one of ${relevantNames.join(", ")}` : given,
    received: names.join(", "),
    remedy: "Name it (relevant; --relevant on the command line).",
  });
}

const logSoftmaxAt = (logits: Float32Array, place: number): number => {
  const largest = Math.max(...logits);
  return logits[place] - largest - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
};

/**
 * A cross-encoder of a model that was fine-tuned for ranking, or for classification of pairs.
 *
 * @throws RERANKER_TASK, RERANKER_LABEL
 * @example
 * const model = crossEncoder(loadTaskModel("reranker"));
 * const scores = model.scorePairs("what is a stoat", ["A stoat is an animal.", "A boat floats."]);
 */
export function crossEncoder(
  taskModel: TaskModel<unknown, unknown, unknown>,
  { relevant, tokenBudget = 8192, queryLength = 64, warnings = createWarnings() }: CrossEncoderOptions = {},
): CrossEncoder {
  const { task, settings, model, tokenizer, maxLength, forward = model.forward } = taskModel;
  if (task.name !== "ranking" && task.name !== "classification") {
    throw new ClozeError("RERANKER_TASK", "The model was fine-tuned for something else than ranking", {
      expected: "ranking, or classification of pairs",
      received: task.name,
      remedy: "Fine-tune one: cloze finetune --task ranking",
    });
  }
  const place = relevantPlace(settings, relevant);
  const single = task.name === "ranking";
  const outputsOf = (sequences: readonly Sequence[]): Float32Array[] => {
    const outputs: Float32Array[] = new Array(sequences.length);
    for (const group of groupByTokenBudget(
      sequences.map(({ ids }) => ids.length),
      tokenBudget,
    )) {
      const batch = packExamples(group.map((i) => ({ sequences: [sequences[i]], details: undefined })));
      const found = noGrad(() =>
        scope(() => {
          const inputs = task.inputs(batch, settings, { tokenizer, training: false, seed: 0 });
          const { logits } = forward(inputs.batch);
          const numbers = logits?.toTypedArray() as Float32Array;
          const width = numbers.length / group.length;
          return group.map((_, row) => numbers.slice(row * width, (row + 1) * width));
        }),
      );
      group.forEach((sequence, i) => {
        outputs[sequence] = found[i];
      });
    }
    return outputs;
  };
  const cut = (text: string, length: number) =>
    tokenizer.encodeIds(text, { addSpecialTokens: false, truncation: { maxLength: length } });
  const segments = model.encoder.config.segmentVocabularySize;
  return {
    scorePairs(query, documents) {
      const context = { tokenizer, maxLength, training: false, warnings };
      const sequences = documents.map((pair, i) => encodeText({ text: query, pair, row: i + 1 }, context));
      return Float32Array.from(outputsOf(sequences), (logits) => (single ? logits[0] : logSoftmaxAt(logits, place)));
    },
    scoreDuels(query, documents, pairs) {
      const [first, separator] = tokenizer.encodeIds("");
      const head = [first, ...cut(query, Math.min(queryLength, maxLength >> 2)), separator];
      const each = (maxLength - head.length - 2) >> 1;
      const pieces = documents.map((document) => [...cut(document, each), separator]);
      const sequences = pairs.map(([a, b]): Sequence => {
        const parts = [head, pieces[a], pieces[b]];
        return {
          ids: Int32Array.from(parts.flat()),
          // Models of two segments tell the documents from the query only.
          segments: Int32Array.from(parts.flatMap((part, i) => part.map(() => Math.min(i, Math.max(0, segments - 1))))),
        };
      });
      return Float32Array.from(outputsOf(sequences), (logits) =>
        single ? 1 / (1 + Math.exp(-logits[0])) : Math.exp(logSoftmaxAt(logits, place)),
      );
    },
  };
}
