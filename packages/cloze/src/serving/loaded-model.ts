// A model folder in memory: what its files say it is for.
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { createEmbedder, type Embedder } from "../embedding/embedder.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import type { SparseEncoder } from "../embedding/sparse-encoder/sparse-encoder.js";
import { isSparseEncoderFolder, loadSparseEncoder } from "../embedding/sparse-encoder/sparse-encoder-folder.js";
import type { TokenEncoder } from "../embedding/token-encoder/token-encoder.js";
import { isTokenEncoderFolder, loadTokenEncoder } from "../embedding/token-encoder/token-encoder-folder.js";
import { ClozeError } from "../errors.js";
import { loadModel, type Model } from "../families/index.js";
import { type CompileOptions, compile } from "../inference/compile.js";
import { type CompiledHead, compileHead } from "../inference/compile-head.js";
import { inParts } from "../inference/in-parts.js";
import type { TaskModel } from "../tasks/run.js";
import { loadTokenizer, type Tokenizer } from "../text/tokenizer.js";
import { type ServedPlan, shortRunsAtOnce } from "./short-runs.js";
import { checkServed } from "./unserved-kinds.js";

export interface LoadedModel {
  readonly name: string;
  readonly folder: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Longest sequence, special tokens included. */
  readonly maxLength: number;
  /** Present when the model turns texts into vectors. */
  readonly embedder?: Embedder;
  /** Present when the model was made to turn texts into weighted terms. */
  readonly sparse?: SparseEncoder;
  /** Present when the model was made to turn texts into vectors of their tokens. */
  readonly tokenEncoder?: TokenEncoder;
  /** Present when the model has a task head. */
  readonly task?: TaskModel<unknown, unknown, unknown>;
  /** The model (or that of a route) as a plan with that output; made when first asked for, closed with the model. */
  compiled(wanted: Pick<CompileOptions, "outputs" | "pooling">, model?: Model): ServedPlan;
  /** The head on rows of hidden states, as a plan; the same way. Undefined where plans do not know it. */
  rowHead(most: number): CompiledHead | undefined;
  close(): void;
}

/** Tasks, with their readers and scores, take as long to load as all the rest; embedders need none of them. */
const loadTasks = () => import("../tasks/index.js");

/** What the head of a model that another library fine-tuned is for; one number for a pair of texts is a reranker's. */
async function taskOfHead({ head }: Model) {
  const { taskParts, tasks } = await loadTasks();
  const { config } = head;
  if (config.type === "sequence-classification" && config.labels === 1) return taskParts.ranking;
  // A language model fills masks as it is, and embeds too.
  return tasks.find((task) => task.name !== "fill-mask" && task.fromHead?.(config) !== undefined);
}

type Parts = Pick<LoadedModel, "model" | "tokenizer" | "maxLength" | "embedder" | "sparse" | "tokenEncoder" | "task">;

function embedderParts(embedder: Embedder): Parts {
  const { model, tokenizer, options } = embedder;
  if (embedder.documentLevel !== undefined) {
    embedder.dispose();
    throw new ClozeError("MODEL_UNSUPPORTED", "The server does not read documents in blocks", {
      remedy: "Use cloze embed, cloze index and cloze search, or loadEmbedder.",
    });
  }
  return { model, tokenizer, maxLength: options.maxLength, embedder };
}

function sparseParts(sparse: SparseEncoder): Parts {
  const { model, tokenizer, settings } = sparse;
  return { model, tokenizer, maxLength: settings.maxLength, sparse };
}

function tokenEncoderParts(tokenEncoder: TokenEncoder): Parts {
  const { model, tokenizer, settings } = tokenEncoder;
  return { model, tokenizer, maxLength: settings.documentLength, tokenEncoder };
}

function taskModelParts(task: TaskModel<unknown, unknown, unknown>): Parts {
  return { model: task.model, tokenizer: task.tokenizer, maxLength: task.maxLength, task };
}

async function loadParts(folder: string): Promise<Parts> {
  if (existsSync(join(folder, "task.json"))) return taskModelParts((await loadTasks()).loadTaskModel(folder));
  checkServed(folder);
  if (isSparseEncoderFolder(folder)) return sparseParts(loadSparseEncoder(folder));
  if (isTokenEncoderFolder(folder)) return tokenEncoderParts(loadTokenEncoder(folder));
  if (existsSync(join(folder, "modules.json"))) return embedderParts(loadEmbedder(folder));
  const model = loadModel(folder);
  try {
    const tokenizer = loadTokenizer(folder);
    const task = await taskOfHead(model);
    if (task === undefined) return embedderParts(createEmbedder(model, tokenizer));
    // The head was just found to fit.
    const settings = task.fromHead?.(model.head.config);
    const { maxPositions } = model.config;
    return taskModelParts({ task, settings, model, tokenizer, maxLength: maxPositions } as TaskModel<
      unknown,
      unknown,
      unknown
    >);
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/**
 * Loads a folder: a sentence-transformers folder (of an embedder, or of an encoder of weighted terms or of tokens), a folder
 * that `cloze finetune` wrote, or a Hugging Face folder with whatever head.
 *
 * @throws MODEL_UNSUPPORTED for kinds that are not served, and what `loadEmbedder`, `loadSparseEncoder`, `loadTokenEncoder`, `loadTaskModel`, `loadModel` and `loadTokenizer` throw
 */
export async function loadServedFolder(
  folder: string,
  { name = basename(folder), weights }: { name?: string } & Pick<CompileOptions, "weights"> = {},
): Promise<LoadedModel> {
  const parts = await loadParts(folder);
  const plans = new Map<Model, Map<string, ServedPlan>>();
  const heads = new Map<number, CompiledHead | undefined>();
  return {
    ...parts,
    name,
    folder,
    compiled({ outputs, pooling }, model = parts.model) {
      const ofModel = plans.get(model) ?? new Map<string, ServedPlan>();
      plans.set(model, ofModel);
      const key = `${outputs} ${pooling}`;
      const found = ofModel.get(key) ?? shortRunsAtOnce(inParts(compile(model, { outputs, pooling, weights })));
      ofModel.set(key, found);
      return found;
    },
    rowHead(most) {
      if (!heads.has(most)) heads.set(most, compileHead(parts.model, most));
      return heads.get(most);
    },
    close() {
      for (const head of heads.values()) head?.close();
      for (const ofModel of plans.values()) for (const plan of ofModel.values()) plan.close();
      (parts.embedder ?? parts.sparse ?? parts.tokenEncoder ?? parts.model).dispose();
    },
  };
}
