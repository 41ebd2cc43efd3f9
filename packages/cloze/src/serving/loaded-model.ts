// A model folder in memory: what its files say it is for.
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { createEmbedder, type Embedder } from "../embedding/embedder.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { ClozeError } from "../errors.js";
import { loadModel, type Model } from "../families/index.js";
import { type CompileOptions, compile } from "../inference/compile.js";
import { inParts } from "../inference/in-parts.js";
import { loadTaskModel, type TaskModel, taskParts, tasks } from "../tasks/index.js";
import { loadTokenizer, type Tokenizer } from "../text/index.js";
import { type ServedPlan, shortRunsAtOnce } from "./short-runs.js";

export interface LoadedModel {
  readonly name: string;
  readonly folder: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Longest sequence, special tokens included. */
  readonly maxLength: number;
  /** Present when the model turns texts into vectors. */
  readonly embedder?: Embedder;
  /** Present when the model has a task head. */
  readonly task?: TaskModel<unknown, unknown, unknown>;
  /** The model as a plan with that output; made when first asked for, closed with the model. */
  compiled(wanted: Pick<CompileOptions, "outputs" | "pooling">): ServedPlan;
  close(): void;
}

const modulesSchema = z.array(z.looseObject({ type: z.string() }));
function readJson<T>(path: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new ClozeError("EMBEDDER_FILE", `${path} is not what sentence-transformers writes`, { cause });
  }
}

/** What the head of a model that another library fine-tuned is for; one number for a pair of texts is a reranker's. */
function taskOfHead({ head }: Model) {
  const { config } = head;
  if (config.type === "sequence-classification" && config.labels === 1) return taskParts.ranking;
  // A language model fills masks as it is, and embeds too.
  return tasks.find((task) => task.name !== "fill-mask" && task.fromHead?.(config) !== undefined);
}

type Parts = Pick<LoadedModel, "model" | "tokenizer" | "maxLength" | "embedder" | "task">;

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

function taskModelParts(task: TaskModel<unknown, unknown, unknown>): Parts {
  return { model: task.model, tokenizer: task.tokenizer, maxLength: task.maxLength, task };
}

function loadParts(folder: string): Parts {
  if (existsSync(join(folder, "task.json"))) return taskModelParts(loadTaskModel(folder));
  const modules = readJson(join(folder, "modules.json"), modulesSchema);
  // Of a learned-sparse folder the transformer is all there is to load: its pooling has no weights.
  const sparse = modules?.some(({ type }) => type.endsWith(".SpladePooling")) === true;
  if (modules !== undefined && !sparse) return embedderParts(loadEmbedder(folder));
  const model = loadModel(folder);
  try {
    const tokenizer = loadTokenizer(folder);
    const task = taskOfHead(model);
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
 * Loads a folder: a sentence-transformers folder, a folder that `cloze finetune` wrote, or a Hugging Face folder with
 * whatever head.
 *
 * @throws what `loadEmbedder`, `loadTaskModel`, `loadModel` and `loadTokenizer` throw
 */
export function loadServedFolder(
  folder: string,
  { name = basename(folder), weights }: { name?: string } & Pick<CompileOptions, "weights"> = {},
): LoadedModel {
  const parts = loadParts(folder);
  const plans = new Map<string, ServedPlan>();
  return {
    ...parts,
    name,
    folder,
    compiled({ outputs, pooling }) {
      const key = `${outputs} ${pooling}`;
      const found = plans.get(key) ?? shortRunsAtOnce(inParts(compile(parts.model, { outputs, pooling, weights })));
      plans.set(key, found);
      return found;
    },
    close() {
      for (const plan of plans.values()) plan.close();
      if (parts.embedder === undefined) parts.model.dispose();
      else parts.embedder.dispose();
    },
  };
}
