// Texts to vectors: tokenizer, encoder, pooling, modules, and what batches need.
import { copyOf, empty, noGrad, scope, type Tensor, tensor } from "@cloze/tensor";
import { groupByTokenBudget, type PackedBatch } from "../data/packed-batch.js";
import type { DocumentLevel } from "../encoder/document-level.js";
import type { EncoderOptions } from "../encoder/encoder.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/model.js";
import type { CompiledModel, CompileOptions } from "../inference/compile.js";
import { normalizeRows } from "../objectives/contrastive.js";
import type { Tokenizer } from "../text/index.js";
import { type BagOfWords, bagWords, checkBag } from "./bag-of-words.js";
import { freshPlan } from "./fresh-plan.js";
import { createSlice, type EmbedderModule, embedderModules } from "./modules/index.js";
import { modesOf, type Pooling, pool } from "./pooling.js";
import type { EmbedderRoutes } from "./routed-embedder.js";
import { createTextReader } from "./text-reader.js";
import { emptyCounts, type TextCounts, type TextRoles } from "./text-roles.js";
import { type TokenModule, tokenModules as tokenModuleKinds } from "./token-modules/index.js";
import { checkPart, type TruncateOptions, truncateModel } from "./truncate.js";

/** How the likeness of two vectors is measured. */
export type Similarity = "cosine" | "dot" | "euclidean" | "manhattan";

export interface EmbedderOptions {
  /** Default "mean". */
  pooling?: Pooling;
  /** False: the tokens of a prompt do not count in the pooling. Default true. */
  includePrompt?: boolean;
  /** Scale vectors to length 1, so that inner products are cosines. Default true. */
  normalize?: boolean;
  /** Tokens of a text at most, special tokens included. Default: as many as the model has positions. */
  maxLength?: number;
  /** Put the tokenizer's special tokens around a text. Default true. */
  specialTokens?: boolean;
  /** Lower-case texts, whatever the tokenizer does. Default false. */
  lowerCase?: boolean;
  /** Texts to put before texts, by name: "query", "document", "classification" … Default: none. */
  prompts?: Readonly<Record<string, string>>;
  /** The prompt of texts for which nothing else is said. Default: none. */
  defaultPrompt?: string;
  /** Default: "cosine". */
  similarity?: Similarity;
  /** How queries and documents differ for the encoder. Default: not at all. */
  roles?: TextRoles;
  /**
   * Fields that texts may be of, in the order of the encoder's experts. One whose name is a token of the tokenizer stands in
   * place of the first special token of its texts. Default: none.
   */
  fields?: readonly string[];
}

/** What of a text's kind may be said. */
export interface TextKind {
  /**
   * What the texts are. A query takes the prompt "query", a document the first of "document", "passage" and "corpus", where
   * there is one. Default: a document with the default prompt, as sentence-transformers' `encode` has it.
   */
  role?: keyof TextRoles;
  /** The name of a prompt of the embedder. */
  promptName?: string;
  /** A prompt, instead of a named one; "" for none. */
  prompt?: string;
  /** The field of the texts, one of the embedder's; vectors of different fields are not to be compared. Default: none. */
  field?: string;
}

export interface EmbedOptions extends TextKind {
  /** Tokens per forward pass. Default 4096. */
  tokenBudget?: number;
  /** False: vectors as the last module gives them, whatever the embedder does. Default: the embedder's `normalize`. */
  normalize?: boolean;
  /** Called after each batch with the number of texts done. */
  onProgress?: (done: number, total: number) => void;
  /** Receives what was cut: texts beyond the limit are, unless they go through `embedLongTexts`. */
  counts?: TextCounts;
}

/** Sequences, and how many of their first tokens are a prompt that does not count in the pooling. */
export interface TextBatch extends PackedBatch {
  readonly promptTokens?: number;
  /** What the texts are, where that is known and matters. */
  readonly role?: keyof TextRoles;
  /** How many leading tokens of each sequence can be looked at; default: all. [sequences] */
  readonly visible?: Int32Array;
  /** The field of each sequence by its place among the embedder's, which is its expert. [sequences] */
  readonly routes?: Int32Array;
}

/** An encoder that turns texts into vectors. */
export interface Embedder {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly options: Required<Omit<EmbedderOptions, "defaultPrompt">> & Pick<EmbedderOptions, "defaultPrompt">;
  /** What stands behind the pooling; scaling to length 1 is `options.normalize`. */
  readonly modules: readonly EmbedderModule[];
  /**
   * Present where texts are read in blocks of sentences, whose vectors become one: `createDocumentEmbedder`. Their tokens are
   * blocks end to end; what takes a text for one sequence of the encoder does not apply.
   */
  readonly documentLevel?: DocumentLevel;
  /**
   * Present where the role of a text says which embedder reads it: `createRoutedEmbedder`. What takes the model, tokenizer or
   * settings of an embedder asks `routeFor` first.
   */
  readonly routes?: EmbedderRoutes;
  /** Between the encoder and the pooling, in this order. What takes the encoder's states for those that are pooled asks first. */
  readonly tokenModules: readonly TokenModule[];
  /** Present where words are counted, and nothing is pooled: the encoder gives the weight of each. */
  readonly bag?: BagOfWords;
  /** Length of what the first of them takes. */
  readonly pooledWidth: number;
  /** What is trained: the encoder's by their names, those of modules as `modules.0.linear.weight`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Length of a vector. */
  readonly width: number;
  /** The prompt of texts of a kind, "" for none. @throws PROMPT_UNKNOWN */
  promptOf(kind?: TextKind): string;
  /** Tokenizes texts, cut to the limit. */
  tokenize(texts: readonly string[], kind?: TextKind, counts?: TextCounts): Int32Array[];
  /** The place of a field among the embedder's. @throws FIELD_UNKNOWN */
  fieldIndex(field: string): number;
  /** Packs tokenized texts of a kind, as `embedBatch` wants them. */
  packTokens(ids: readonly Int32Array[], kind?: TextKind): TextBatch;
  /** Tokenizes and packs texts. */
  pack(texts: readonly string[], kind?: TextKind | keyof TextRoles): TextBatch;
  /** Vectors of a batch, with gradients where recorded: [sequences, width]. Not normalised. */
  embedBatch(batch: TextBatch, options?: EncoderOptions): Tensor;
  /** From vectors of tokens to vectors of texts, not normalised. hidden: [tokens, hidden] -> [sequences, width] */
  poolTokens(hidden: Tensor, batch: TextBatch): Tensor;
  /** Vectors of texts, in their order: [texts, width]. Batches by length, without gradients. */
  embed(texts: readonly string[], options?: EmbedOptions): Tensor;
  /** The same while the event loop stays free: batches run on another thread, and the next texts are tokenized meanwhile. */
  embedAsync(texts: readonly string[], options?: EmbedOptions): Promise<Tensor>;
  /** What the encoder makes of tokens, without gradients: [tokens, hidden] */
  hiddenOf(batch: TextBatch): Tensor;
  /** A smaller embedder with copies of the weights: the first layers, the first numbers of a vector. @throws INVALID_OPTION */
  truncate(options: TruncateOptions): Embedder;
  dispose(): void;
}

/** Whether vectors that are searched by inner products are to have length 1: where the model compares by cosines, or scales. */
export const searchedAsUnit = ({
  similarity,
  normalize,
}: Pick<Embedder["options"], "similarity" | "normalize">): boolean => similarity === "cosine" || normalize === true;

/** What training asks of an encoder of texts: an embedder, or one whose vectors are sparse, or of tokens. */
export interface TrainableEncoder
  extends Pick<
      Embedder,
      | "model"
      | "parameters"
      | "width"
      | "tokenize"
      | "packTokens"
      | "embedBatch"
      | "poolTokens"
      | "documentLevel"
      | "routes"
    >,
    Partial<Pick<Embedder, "fieldIndex" | "tokenizer">> {
  readonly options: Pick<Embedder["options"], "normalize">;
  /** Present where a text has several vectors: where the rows of each text of a batch begin. [sequences + 1] */
  rowOffsets?(batch: TextBatch): Int32Array;
}

/** What an embedder runs with. */
export type EmbedderParts = EmbedderOptions & {
  /** Behind the pooling, in this order; the embedder owns them. */
  modules?: readonly EmbedderModule[];
  /** Between the encoder and the pooling, in this order; the embedder owns them. */
  tokenModules?: readonly TokenModule[];
  /** Count words instead of pooling: the encoder's states are their weights, one number each. Not beside `tokenModules`. */
  bag?: BagOfWords;
  /** How the encoder runs in `embed`. Default "float32". */
  weights?: CompileOptions["weights"];
};

/** Texts that are tokenized ahead of their batches. */
const blockTexts = 8192;

const isFilled = ({ offsets }: PackedBatch): boolean => offsets.every((end, s) => s === 0 || end > offsets[s - 1]);

function checkVocabulary(model: Model, tokenizer: Tokenizer): void {
  const { vocabularySize } = model.encoder.config;
  if (tokenizer.vocabularySize <= vocabularySize) return;
  throw new ClozeError("EMBEDDER_VOCABULARY", "The tokenizer does not fit the model", {
    expected: `at most ${vocabularySize} entries`,
    received: String(tokenizer.vocabularySize),
    remedy: "Use the tokenizer that the model was trained with.",
  });
}

/** Modules in a row with copies of their weights. @param width of what the first of them takes */
const copiesOf = <Module extends EmbedderModule | TokenModule>(
  modules: readonly Module[],
  kinds: readonly { type: string; load(config: unknown, width: number, weight: (name: string) => Tensor): Module }[],
  width: number,
): Module[] =>
  modules.map((module, i) => {
    const kind = kinds.find(({ type }) => type === module.type);
    const weight = (name: string) => copyOf(module.parameters.get(name) as Tensor);
    return kind?.load(module.config(), i === 0 ? width : modules[i - 1].width, weight) ?? module;
  });

/** What stands behind an embedder's pooling, with copies of the weights. */
export const copyModules = ({ modules, pooledWidth }: Pick<Embedder, "modules" | "pooledWidth">): EmbedderModule[] =>
  copiesOf(modules, embedderModules, pooledWidth);

/** What stands before an embedder's pooling, with copies of the weights. */
const copyTokenModules = ({ model, tokenModules }: Pick<Embedder, "model" | "tokenModules">): TokenModule[] =>
  copiesOf(tokenModules, tokenModuleKinds, model.encoder.config.hiddenSize);

/**
 * What `createEmbedder` was given to make an embedder of its model and tokenizer, to make another one of them. The way the encoder
 * runs (`weights`) is not known, nor are routes and levels over blocks.
 */
export const partsOf = ({
  options,
  modules,
  tokenModules,
  bag,
}: Pick<Embedder, "options" | "modules" | "tokenModules" | "bag">): EmbedderParts => ({
  ...options,
  modules,
  tokenModules,
  bag,
});

/** Whether the states of an embedder's encoder are what it pools: nothing stands between, and it does pool. */
export const poolsStates = ({ tokenModules, bag }: Pick<Embedder, "tokenModules" | "bag">): boolean =>
  tokenModules.length === 0 && bag === undefined;

/**
 * Puts a model and a tokenizer together.
 *
 * @throws EMBEDDER_VOCABULARY when the tokenizer has more entries than the model's embedding, PROMPT_UNKNOWN, INVALID_OPTION for
 * a `bag` that does not fit
 * @example
 * const embedder = createEmbedder(model, tokenizer, { pooling: "mean" });
 * const vectors = embedder.embed(["a small cat", "a large dog"]);
 */
export function createEmbedder(model: Model, tokenizer: Tokenizer, options: EmbedderParts = {}): Embedder {
  const { hiddenSize, maxPositions } = model.encoder.config;
  checkVocabulary(model, tokenizer);
  checkBag(model, tokenizer, options);
  const settings: Embedder["options"] = {
    pooling: options.pooling ?? "mean",
    includePrompt: options.includePrompt ?? true,
    normalize: options.normalize ?? true,
    maxLength: options.maxLength ?? (maxPositions > 0 ? maxPositions : 512),
    specialTokens: options.specialTokens ?? true,
    lowerCase: options.lowerCase ?? false,
    prompts: options.prompts ?? {},
    defaultPrompt: options.defaultPrompt,
    similarity: options.similarity ?? "cosine",
    roles: options.roles ?? {},
    fields: options.fields ?? [],
  };
  const { pooling } = settings;
  const reader = createTextReader(tokenizer, settings);
  const { tokenize, packTokens } = reader;
  const { modules = [], tokenModules = [], bag } = options;
  const stateWidth = tokenModules.at(-1)?.width ?? hiddenSize;
  const pooledWidth = bag?.words ?? stateWidth * modesOf(pooling).length;
  const width = modules.at(-1)?.width ?? pooledWidth;
  const parameters = new Map(model.encoder.parameters);
  tokenModules.forEach((module, i) => {
    for (const [name, value] of module.parameters) parameters.set(`tokenModules.${i}.${name}`, value);
  });
  modules.forEach((module, i) => {
    for (const [name, value] of module.parameters) parameters.set(`modules.${i}.${name}`, value);
  });

  const throughModules = (pooled: Tensor): Tensor => modules.reduce((x, module) => module.forward(x), pooled);
  const weighing = tokenModules.filter(({ weightSums }) => weightSums !== undefined).at(-1);
  const poolStates = (hidden: Tensor, batch: TextBatch): Tensor => {
    if (bag !== undefined) return bagWords(hidden, batch, bag);
    const states = tokenModules.reduce((x, module) => module.forward(x, batch), hidden);
    return pool(states, batch.offsets, pooling, batch.promptTokens, weighing?.weightSums?.(batch));
  };
  const poolTokens: Embedder["poolTokens"] = (hidden, batch) => throughModules(poolStates(hidden, batch));
  const embedBatch: Embedder["embedBatch"] = (batch, forwardOptions) =>
    scope(() => poolTokens(model.encoder.forward(batch, forwardOptions).hidden, batch));

  const plain = poolsStates({ tokenModules, bag });
  const plan = freshPlan(model, options.weights);
  /** What a plan gives for a batch, and what is left to do with it. */
  const planFor = (batch: TextBatch): { compiled: CompiledModel; finish: (values: Float32Array) => Tensor } => {
    const inPlan = pooling === "mean" ? "mean" : pooling === "cls" ? "first" : undefined;
    const sequences = batch.offsets.length - 1;
    if (plain && inPlan !== undefined && batch.promptTokens === undefined && isFilled(batch)) {
      const finish = (values: Float32Array) => throughModules(tensor(values, [sequences, hiddenSize]));
      return { compiled: plan.get(inPlan), finish };
    }
    const finish = (values: Float32Array) => poolTokens(tensor(values, [batch.ids.length, hiddenSize]), batch);
    return { compiled: plan.get("hidden"), finish };
  };
  const finished = (pooled: Tensor, normalize = settings.normalize): Tensor =>
    normalize ? normalizeRows(pooled) : pooled;
  /** Writes the vectors of a batch to their places. */
  const place = (result: Tensor, group: readonly number[], vectors: Tensor): void => {
    group.forEach((text, row) => {
      const from = vectors.pointer + 4 * row * width;
      vectors.storage.backend.copy(from, result.pointer + 4 * text * width, width, "float32");
    });
  };
  /** Batches of texts [start, end) by length; positions count from the first text of all. */
  const batchesOf = (ids: readonly Int32Array[], start: number, kind: TextKind, tokenBudget: number) =>
    groupByTokenBudget(
      ids.map(({ length }) => length),
      tokenBudget,
    ).map((group) => ({
      group: group.map((i) => start + i),
      batch: () =>
        packTokens(
          group.map((i) => ids[i]),
          kind,
        ),
    }));

  return {
    model,
    tokenizer,
    options: settings,
    modules,
    tokenModules,
    bag,
    pooledWidth,
    parameters,
    width,
    ...reader,
    embedBatch,
    poolTokens,
    hiddenOf: (batch) =>
      scope(() => noGrad(() => tensor(plan.get("hidden").runSync(batch), [batch.ids.length, hiddenSize]))),
    embed(texts, { tokenBudget = 4096, normalize, onProgress, counts = emptyCounts(), ...kind } = {}) {
      const result = empty([texts.length, width]);
      let done = 0;
      for (let start = 0; start < texts.length; start += blockTexts) {
        const ids = tokenize(texts.slice(start, start + blockTexts), kind, counts);
        for (const { group, batch: make } of batchesOf(ids, start, kind, tokenBudget)) {
          scope(() =>
            noGrad(() => {
              const batch = make();
              const { compiled, finish } = planFor(batch);
              place(result, group, finished(finish(compiled.runSync(batch)), normalize));
            }),
          );
          done += group.length;
          onProgress?.(done, texts.length);
        }
      }
      return result;
    },
    async embedAsync(texts, { tokenBudget = 4096, normalize, onProgress, counts = emptyCounts(), ...kind } = {}) {
      const result = empty([texts.length, width]).keep();
      let done = 0;
      let ids = tokenize(texts.slice(0, blockTexts), kind, counts);
      for (let start = 0; start < texts.length; start += blockTexts) {
        const batches = batchesOf(ids, start, kind, tokenBudget);
        const following = texts.slice(start + blockTexts, start + 2 * blockTexts);
        const share = Math.ceil(following.length / batches.length);
        const next: Int32Array[] = [];
        for (const { group, batch: make } of batches) {
          const batch = make();
          const { compiled, finish } = planFor(batch);
          const running = compiled.run(batch);
          // The plan has threads of its own: this one prepares what comes next.
          next.push(...tokenize(following.slice(next.length, next.length + share), kind, counts));
          const values = await running;
          scope(() => noGrad(() => place(result, group, finished(finish(values), normalize))));
          done += group.length;
          onProgress?.(done, texts.length);
        }
        ids = next;
      }
      return result;
    },
    truncate({ layers = model.config.layers.length, dims = width }) {
      checkPart("dims", dims, 1, width);
      const copies = copyModules({ modules, pooledWidth });
      return createEmbedder(truncateModel(model, layers), tokenizer, {
        ...settings,
        modules: dims === width ? copies : [...copies, createSlice(width, dims)],
        tokenModules: copyTokenModules({ model, tokenModules }),
        bag,
        weights: options.weights,
      });
    },
    dispose() {
      plan.close();
      model.dispose();
      for (const module of [...tokenModules, ...modules])
        for (const value of module.parameters.values()) value.dispose();
    },
  };
}
