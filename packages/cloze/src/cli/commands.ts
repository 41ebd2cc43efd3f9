// The commands of `cloze`: what its help says of each, and where it is. Nothing else is imported here, so that help, versions
// and mistyped names take no longer than Node does.
import type { Command } from "commander";

type Add = (program: Command) => void;

/** A command, by its name in {@link commands}. */
export interface CommandEntry {
  /** Its arguments as help writes them. Default: none. */
  readonly takes?: string;
  /** The same as the command says of itself; a test holds them equal. */
  readonly about: string;
  /** It is a name for commands below it, and takes no options of its own. Default false. */
  readonly group?: boolean;
  /** Loads it. All of them take seconds, so only the one that is called is. */
  load(): Promise<Add>;
}

/** In the order of their help. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  tokenizer: {
    about: "work with tokenizers",
    group: true,
    load: async () => (await import("./tokenizer.js")).addTokenizer,
  },
  pretrain: {
    takes: "<sources...>",
    about: "train a language model on texts of any size: text, JSON lines, Parquet, CSV, packed or not",
    load: async () => (await import("./pretrain.js")).addPretrain,
  },
  "pretrain-images": {
    takes: "<sources...>",
    about: "train a convolutional encoder on images without labels: PNG files, folders, CIFAR-10's records",
    load: async () => (await import("./pretrain-images.js")).addPretrainImages,
  },
  lexicon: {
    takes: "<sources...>",
    about: "find n-grams that stand together more often than chance has it, for --objective ngram-language",
    load: async () => (await import("./lexicon.js")).addLexicon,
  },
  train: {
    takes: "<files...>",
    about:
      "train an embedder, or a SPLADE, uniCOIL or ColBERT encoder: on pairs, scores, classes, or a teacher's judgements",
    load: async () => (await import("./train.js")).addTrain,
  },
  "train-retrieval": {
    about: "train a part of a search pipeline on what a test collection's judgements say",
    load: async () => (await import("./train-retrieval.js")).addTrainRetrieval,
  },
  finetune: {
    about: "fine-tune a model for a task on labelled data",
    load: async () => (await import("./finetune.js")).addFinetune,
  },
  evaluate: {
    about: "score a model: cloze evaluate --model mine --data test.csv, or a sub-command",
    group: true,
    load: async () => (await import("./evaluate.js")).addEvaluate,
  },
  compare: {
    about: "fine-tune several models for the same tasks over seeds, and print one table",
    load: async () => (await import("./compare.js")).addCompare,
  },
  predict: {
    about: "predictions of a fine-tuned model as JSON lines, in the order of the rows",
    load: async () => (await import("./predict.js")).addPredict,
  },
  embed: {
    takes: "[texts...]",
    about: "turn texts into vectors",
    load: async () => (await import("./embed.js")).addEmbed,
  },
  "embed-bench": {
    about: "score an embedder on similarity, probes, clusters, translations and reranking: one table",
    load: async () => (await import("./evaluate-embedding.js")).addEmbedBench,
  },
  mine: {
    about: "make training data by an embedder: hard negatives, deduplication, splits",
    group: true,
    load: async () => (await import("./mine.js")).addMine,
  },
  index: {
    takes: "[files...]",
    about:
      "add documents to an index: their words, and with --model their vectors, learned weights of terms or token vectors",
    load: async () => (await import("./index-documents.js")).addIndex,
  },
  search: {
    takes: "<folder|url> [queries...]",
    about: "search an index that cloze index has made",
    load: async () => (await import("./search.js")).addSearch,
  },
  rerank: {
    takes: "[texts...]",
    about:
      "put documents into a better order with a cross-encoder or a part of train-retrieval: texts for a query, or a TREC run",
    load: async () => (await import("./rerank.js")).addRerank,
  },
  "fill-mask": {
    takes: "[texts...]",
    about: "predict what stands at [MASK]",
    load: async () => (await import("./fill-mask.js")).addFillMask,
  },
  axis: {
    about: "fit a direction among sentence vectors to phrases, without labels, for cloze probe and generate",
    load: async () => (await import("./axis.js")).addAxis,
  },
  probe: {
    takes: "[file]",
    about: "score phrases along an axis of cloze axis: agreement with norms of the encoder's training text, no more",
    load: async () => (await import("./probe.js")).addProbe,
  },
  generate: {
    about: "go on with a text by a decoder (GPT-2, or cloze pretrain --objective causal-language)",
    load: async () => (await import("./generate.js")).addGenerate,
  },
  serve: {
    about: "answer over HTTP: OpenAI's, Cohere's and text-embeddings-inference's endpoints, and search",
    load: async () => (await import("./serve.js")).addServe,
  },
  compile: {
    about: "make a model faster: choose how its matrices are multiplied, measure what that costs, save the result",
    load: async () => (await import("./compile.js")).addCompile,
  },
  export: {
    about: "write a model as ONNX, for ONNX Runtime and transformers.js",
    load: async () => (await import("./export.js")).addExport,
  },
  info: {
    takes: "[model]",
    about: "what a model holds; without one, what this machine offers",
    load: async () => (await import("./info.js")).addInfo,
  },
  data: {
    about: "work with labelled data",
    group: true,
    load: async () => (await import("./data.js")).addData,
  },
  pull: {
    takes: "<id>",
    about: "download a model or a dataset from the Hugging Face hub into the cache (HF_HOME, HF_HUB_CACHE)",
    load: async () => (await import("./pull.js")).addPull,
  },
  reproduce: {
    takes: "[paper]",
    about: "run a paper's recipe: its claim scaled down, measured, and held against bounds; 1 where one fails",
    load: async () => (await import("./reproduce.js")).addReproduce,
  },
  demo: {
    about: "learn a reverse dictionary from WordNet (or search in your own text) from nothing, and open it as a page",
    load: async () => (await import("./demo.js")).addDemo,
  },
};
