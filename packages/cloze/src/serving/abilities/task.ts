// What a model was fine-tuned for.
import { noGrad, scope, tensor } from "@cloze/tensor";
import type { Head, HeadOutput } from "../../heads/index.js";
import { joinNumbers } from "../../tasks/outputs.js";
import type { Task, TaskInputs } from "../../tasks/task.js";
import type { Steps } from "../../text/index.js";
import type { SequenceUnit } from "../encode-input.js";
import type { LoadedModel } from "../loaded-model.js";
import { packUnits } from "../pack-units.js";
import type { Answer, Program } from "../scheduler.js";

/** A row that is encoded: several sequences where its text is long. */
export interface TaskRow {
  readonly units: readonly SequenceUnit[];
  /** What the task says of the row, from what the model says of its sequences; in steps. */
  predict(outputs: readonly Float32Array[]): Steps<unknown>;
}

export interface TaskAbility {
  readonly task: Task;
  readonly settings: unknown;
  /** The names of its labels, where it has some; the one number of a reranker or a regression has one. */
  readonly labels?: readonly string[];
  /** Several labels may hold at once. */
  readonly several: boolean;
  /** What the task reads of the model's output, for each sequence: logits. */
  readonly program: Program<SequenceUnit, Float32Array>;
  /**
   * Encodes a row of the task's kind, in steps.
   *
   * @param onCut called when a text was too long and was cut
   */
  encode(row: unknown, onCut: () => void): Steps<TaskRow>;
}

/** The results of rows from those of all their sequences, in steps. */
export function* predictionsOf(rows: readonly TaskRow[], { results }: Answer<Float32Array>): Steps<unknown[]> {
  const predictions: unknown[] = [];
  let at = 0;
  for (const { units, predict } of rows) {
    at += units.length;
    predictions.push(yield* predict(results.slice(at - units.length, at)));
    yield;
  }
  return predictions;
}

/**
 * What a head makes of a batch: all of it in a plan on another thread where the plan goes as far, else from hidden states on
 * this one. A head that is asked for a few tokens (it predicts words) is given those alone, which a plan cannot.
 *
 * @returns makes the tensors, inside a scope
 */
async function headOutput(
  loaded: LoadedModel,
  head: Head,
  { batch, asked }: TaskInputs,
  alone = false,
): Promise<() => HeadOutput> {
  const whole = asked === undefined ? loaded.compiled({ outputs: "logits" }) : undefined;
  if (whole?.planned === true) {
    const values = await whole.run(batch, { alone });
    return () => head.fromPlan(tensor(values, [values.length / whole.width, whole.width]));
  }
  const compiled = loaded.compiled({ outputs: "hidden" });
  const globalTokens = head.globalTokens(batch);
  const seen = globalTokens === undefined ? batch : { ...batch, globalTokens };
  const states = await compiled.run(seen, { alone });
  return () => head.forward(tensor(states, [seen.ids.length, compiled.width]), seen, asked ?? {});
}

export function taskAbility(loaded: LoadedModel): TaskAbility | undefined {
  if (loaded.task === undefined) return undefined;
  const { task, settings, model, tokenizer, maxLength } = loaded.task;
  const { config } = model.head;
  const classifier = config.type === "sequence-classification" ? config : undefined;
  return {
    task,
    settings,
    labels: classifier && (classifier.names ?? Array.from({ length: classifier.labels }, (_, i) => `LABEL_${i}`)),
    several: classifier?.problem === "multi",
    program: {
      name: `${loaded.name} ${task.name}`,
      async compute(units, alone) {
        const rowOffsets = Int32Array.from({ length: units.length + 1 }, (_, i) => i);
        const batch = { ...packUnits(units), rowOffsets };
        const inputs = task.inputs(batch, settings, { tokenizer, training: false, seed: 0 });
        const finish = await headOutput(loaded, model.head, inputs, alone);
        return scope(() => noGrad(() => task.outputs(finish(), batch, settings, inputs)));
      },
    },
    *encode(row, onCut) {
      const warnings = {
        add: (code: string) => code.endsWith("_CUT") && onCut(),
        list: () => [],
        clear() {},
      };
      const context = { tokenizer, maxLength, training: false, warnings };
      const example =
        task.encodeSteps === undefined
          ? task.encode(row, settings, context)
          : yield* task.encodeSteps(row, settings, context);
      yield;
      return {
        units: example.sequences.map(({ ids, segments }) => ({
          ids: ids instanceof Int32Array ? ids : Int32Array.from(ids),
          segments,
          tokens: ids.length,
        })),
        *predict(outputs) {
          const joined = joinNumbers(outputs);
          return task.predictSteps === undefined
            ? task.predict(row, example, joined, settings)
            : yield* task.predictSteps(row, example, joined, settings);
        },
      };
    },
  };
}
