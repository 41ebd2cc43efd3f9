// Models from nothing for a task: the encoders that papers compare with, under the heads and the trainer of all others.
import { type EncoderConfig, uniformEncoder } from "../encoder/config.js";
import { bagEncoder, convolutionalEncoder, recurrentEncoder } from "../encoder/presets.js";
import { ClozeError } from "../errors.js";
import { createModel, type HeadFields, type Model } from "../families/index.js";
import type { Task } from "../tasks/index.js";
import { type Tokenizer, trainWordLevel, trainWordPiece } from "../text/index.js";

interface Sizes {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly maxPositions: number;
}

interface NewModelKind {
  /** One line for help texts. */
  readonly description: string;
  /** What its tokens are. */
  readonly unit: "words" | "characters" | "pieces";
  /** Default width. */
  readonly hiddenSize: number;
  /** How a text becomes one vector, for heads that want one. */
  readonly head: Pick<HeadFields, "pooling" | "pooler">;
  readonly config: (sizes: Sizes) => EncoderConfig;
  /** Such encoders learn faster, and longer, than a pre-trained one is tuned. */
  readonly defaults: { readonly learningRate: number; readonly epochs: number };
}

const kinds = {
  bilstm: {
    description: "LSTM in both directions over words",
    unit: "words",
    hiddenSize: 256,
    head: { pooling: "max", pooler: null },
    config: (sizes) => recurrentEncoder({ ...sizes, dropout: 0.3 }),
    defaults: { learningRate: 2e-3, epochs: 5 },
  },
  bigru: {
    description: "GRU in both directions over words",
    unit: "words",
    hiddenSize: 256,
    head: { pooling: "max", pooler: null },
    config: (sizes) => recurrentEncoder({ ...sizes, cell: "gru", dropout: 0.3 }),
    defaults: { learningRate: 2e-3, epochs: 5 },
  },
  "text-cnn": {
    description: "convolutions of three, four and five words, and their largest values",
    unit: "words",
    hiddenSize: 300,
    head: { pooling: "max", pooler: null },
    config: (sizes) => convolutionalEncoder({ ...sizes, dropout: 0.3 }),
    defaults: { learningRate: 1e-3, epochs: 5 },
  },
  "character-cnn": {
    description: "convolutions of three, five and seven characters",
    unit: "characters",
    hiddenSize: 300,
    head: { pooling: "max", pooler: null },
    config: (sizes) => convolutionalEncoder({ ...sizes, kernels: [3, 5, 7], dropout: 0.1 }),
    defaults: { learningRate: 1e-3, epochs: 8 },
  },
  "bag-of-ngrams": {
    description: "the mean of the vectors of words and of pairs of words, as fastText",
    unit: "words",
    hiddenSize: 100,
    head: { pooling: "mean", pooler: null },
    config: (sizes) => bagEncoder({ ...sizes, ngrams: [2], dropout: 0.1 }),
    defaults: { learningRate: 5e-3, epochs: 5 },
  },
  transformer: {
    description: "a small BERT without pre-training",
    unit: "pieces",
    hiddenSize: 256,
    head: { pooling: "mean", pooler: null },
    config: (sizes) => uniformEncoder({ ...sizes, layers: 2, heads: Math.max(1, Math.floor(sizes.hiddenSize / 64)) }),
    defaults: { learningRate: 5e-4, epochs: 5 },
  },
} satisfies Record<string, NewModelKind>;

/** Names of encoders that can be made from nothing. */
export type NewModelName = keyof typeof kinds;
/** Every one of them. */
export const newModels: Readonly<Record<NewModelName, NewModelKind>> = kinds;

export interface NewModelOptions {
  /** Decides the first weights. Default 1. */
  seed?: number;
  /** Width; default the kind's. */
  hiddenSize?: number;
  /** Longest sequence in tokens. Default 512. */
  maxPositions?: number;
  /** Most entries of the vocabulary that is learnt. Default 30,522. */
  vocabularySize?: number;
  /** Instead of one that is learnt from the rows. */
  tokenizer?: Tokenizer;
}

/** Words that come once teach what an unknown word is, where there are enough others. */
const manyRows = 1000;

function tokenizerOfTexts(unit: NewModelKind["unit"], texts: readonly string[], vocabularySize: number): Tokenizer {
  const minFrequency = texts.length >= manyRows ? 2 : 1;
  if (unit === "pieces") return trainWordPiece(texts, { vocabularySize: Math.min(vocabularySize, 8000), minFrequency });
  return trainWordLevel(texts, { unit, vocabularySize, minFrequency });
}

/**
 * A model from nothing for a task, with a tokenizer learnt from the rows it is to be trained on.
 *
 * @param rows training rows: their texts give the vocabulary
 * @param settings what the task made of the rows, see `Task.prepare`
 * @throws NEW_MODEL_UNKNOWN, TOKENIZER_EMPTY_CORPUS, CONFIG_INVALID
 * @example
 * const { model, tokenizer } = createNewModel("bilstm", task, rows, task.prepare(rows, {}, createWarnings()));
 * await finetune({ task, model, tokenizer, train: rows, ...newModels.bilstm.defaults });
 */
export function createNewModel<Row, Settings, Prediction>(
  name: NewModelName,
  task: Task<Row, Settings, Prediction>,
  rows: readonly Row[],
  settings: Settings,
  options: NewModelOptions = {},
): { model: Model; tokenizer: Tokenizer } {
  const kind: NewModelKind | undefined = newModels[name];
  if (kind === undefined) {
    throw new ClozeError("NEW_MODEL_UNKNOWN", "Cloze makes no encoder of this name", {
      expected: Object.keys(newModels).join(", "),
      received: String(name),
    });
  }
  const { seed = 1, hiddenSize = kind.hiddenSize, maxPositions = 512, vocabularySize = 30522 } = options;
  const tokenizer = options.tokenizer ?? tokenizerOfTexts(kind.unit, rows.flatMap(task.texts), vocabularySize);
  const config = kind.config({ vocabularySize: tokenizer.vocabularySize, hiddenSize, maxPositions });
  return { model: createModel({ ...task.head(settings), ...kind.head, config, seed }), tokenizer };
}
