// A fine-tuned model's folder: a Hugging Face folder, and task.json beside it.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import { loadModel, saveModel } from "../families/index.js";
import { loadTokenizer } from "../text/tokenizer.js";
import { checkMaxLength } from "./max-length.js";
import type { TaskModel } from "./run.js";
import type { Task } from "./task.js";

const fileName = "task.json";

const schema = z.strictObject({
  version: z.literal(1),
  task: z.string(),
  maxLength: z.int().min(1),
  /** What the task must know again; the task itself checks it. */
  settings: z.unknown(),
});

/** Saves the model, its tokenizer and its task. @throws FILE_WRITE, DISK_FULL */
export function saveTaskModel<Row, Settings, Prediction>(
  { task, settings, maxLength, model, tokenizer }: TaskModel<Row, Settings, Prediction>,
  folder: string,
): void {
  saveModel(model, folder);
  tokenizer.save(folder);
  const content = { version: 1, task: task.name, maxLength, settings } satisfies z.input<typeof schema>;
  writeFileAtomic(join(folder, fileName), `${JSON.stringify(content, null, 2)}\n`);
}

function readTaskFile(folder: string): z.output<typeof schema> | undefined {
  const path = join(folder, fileName);
  if (!existsSync(path)) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ClozeError("TASK_FILE", `${path} is no JSON`, { cause });
  }
  return parseConfig(schema, json, path);
}

export interface LoadTaskModelOptions {
  /** The task, where the folder does not say: a model that another library fine-tuned. */
  task?: Task;
  /** Longest sequence; default what the folder says, else the task's. */
  maxLength?: number;
  /** Finds the task that a folder names. */
  taskOf: (name: string) => Task;
}

/**
 * Loads a fine-tuned model with its task: one that Cloze fine-tuned, or, when the task is given, one whose head fits the
 * task.
 *
 * @throws TASK_MISSING, TASK_FILE, HEAD_MISMATCH, and what `loadModel` and `loadTokenizer` throw
 */
export function loadTaskModelWith(
  folder: string,
  { task: given, maxLength, taskOf }: LoadTaskModelOptions,
): TaskModel<unknown, unknown, unknown> {
  const saved = readTaskFile(folder);
  const task = given ?? (saved === undefined ? undefined : taskOf(saved.task));
  if (task === undefined) {
    throw new ClozeError("TASK_MISSING", `${folder} does not say what the model was fine-tuned for`, {
      expected: `${fileName}, as cloze finetune writes it`,
      remedy: "Name the task with --task when another library fine-tuned the model.",
    });
  }
  if (saved !== undefined && saved.task !== task.name) {
    throw new ClozeError("TASK_MISMATCH", `${folder} was fine-tuned for another task`, {
      expected: saved.task,
      received: task.name,
    });
  }
  const model = loadModel(folder);
  try {
    const settings =
      saved === undefined
        ? task.fromHead?.(model.head.config)
        : parseConfig(task.settings, saved.settings, `${join(folder, fileName)}, settings`);
    if (settings === undefined || task.head(settings).architecture !== model.architecture) {
      throw new ClozeError("HEAD_MISMATCH", "The model's head does not fit the task", {
        expected: `a head for ${task.name}`,
        received: model.architecture,
        remedy: "Fine-tune the model for this task first.",
      });
    }
    const tokenizer = loadTokenizer(folder);
    const length =
      maxLength ?? saved?.maxLength ?? Math.min(task.defaults.maxLength, model.encoder.config.maxPositions);
    checkMaxLength(length, model);
    return { task, settings, model, tokenizer, maxLength: length };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
