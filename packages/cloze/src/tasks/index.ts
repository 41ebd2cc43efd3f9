// Tasks by name: one line for each.
import { ClozeError } from "../errors.js";
import { classification, multiLabel } from "./classification.js";
import { maskedWords } from "./masked-words.js";
import { multipleChoice } from "./multiple-choice.js";
import { questionAnswering } from "./question-answering.js";
import { ranking } from "./ranking.js";
import { regression } from "./regression.js";
import type { TaskModel } from "./run.js";
import type { Task } from "./task.js";
import { type LoadTaskModelOptions, loadTaskModelWith } from "./task-folder.js";
import { tokenClassification } from "./token-classification.js";

export { type Evaluation, evaluateRows, type PredictOptions, predictRows, type TaskModel } from "./run.js";
export { defineTask, type Example, type Scores, type Task, type TaskBatch } from "./task.js";
export { saveTaskModel } from "./task-folder.js";

/** Every task by its name. */
export const taskParts = {
  classification,
  "multi-label": multiLabel,
  regression,
  "token-classification": tokenClassification,
  "question-answering": questionAnswering,
  "multiple-choice": multipleChoice,
  ranking,
  "fill-mask": maskedWords,
};

/** Every task; each takes the rows that its own `read` gives. */
export const tasks: readonly Task[] = Object.values(taskParts) as readonly unknown[] as readonly Task[];

/** The task of that name. @throws TASK_UNKNOWN */
export function taskOf(name: string): Task {
  const found = tasks.find((task) => task.name === name);
  if (found !== undefined) return found;
  throw new ClozeError("TASK_UNKNOWN", "Cloze does not know this task", {
    expected: tasks.map((task) => task.name).join(", "),
    received: name,
  });
}

/**
 * Loads a fine-tuned model with its task: one that Cloze fine-tuned, or, with `task`, one that another library did.
 *
 * @throws TASK_MISSING, TASK_FILE, TASK_MISMATCH, HEAD_MISMATCH, and what `loadModel` and `loadTokenizer` throw
 * @example
 * const loaded = loadTaskModel("runs/sst2");
 * for await (const { prediction } of predictRows(loaded, [{ text: "Lovely.", row: 1 }])) console.log(prediction);
 */
export const loadTaskModel = (
  folder: string,
  options: Omit<LoadTaskModelOptions, "taskOf"> = {},
): TaskModel<unknown, unknown, unknown> => loadTaskModelWith(folder, { ...options, taskOf });
