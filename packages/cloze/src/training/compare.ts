// The same tasks for several models: fine-tuned in the same way over seeds, one table.
import type { EncoderConfig } from "../encoder/config.js";
import { loadModel } from "../families/index.js";
import { type SeedSummary, summarizeSeeds } from "../metrics/index.js";
import type { Task } from "../tasks/index.js";
import { loadTokenizer, type Tokenizer } from "../text/index.js";
import { finetune } from "./finetune.js";
import { copyOfEncoder, type ProbeOptions } from "./probe.js";
import { type ProgressReporter, silentProgress } from "./progress.js";

export interface CompareTask extends Pick<ProbeOptions, "task" | "train" | "dev"> {
  /** For the table: "sst2". */
  readonly name: string;
}

export interface CompareOptions extends Pick<ProbeOptions, "epochs" | "learningRate" | "maxLength"> {
  /** Folders. */
  readonly models: readonly string[];
  readonly tasks: readonly CompareTask[];
  /** Runs that differ in their seed. Default 3. */
  readonly seeds?: number;
  readonly progress?: ProgressReporter;
}

export interface ComparedCell extends SeedSummary {
  readonly task: string;
  /** The score's name. */
  readonly score: string;
  /** By seed, from 1. */
  readonly values: readonly number[];
  readonly tokensPerSecond: number;
}

export interface ComparedModel {
  readonly model: string;
  /** Of the encoder. */
  readonly parameters: number;
  /** "causal" where no token sees what comes after it; such models are pooled at their last token. */
  readonly direction: "bidirectional" | "causal";
  readonly cells: readonly ComparedCell[];
  /** Largest resident memory of the process while this model ran, bytes. */
  readonly residentBytes: number;
}

const isCausal = ({ layers }: EncoderConfig): boolean =>
  layers.length > 0 &&
  layers.every(({ mixer }) => mixer.type === "attention" && (mixer.causal || mixer.direction === "causal"));

/** A one-way model knows a whole text at its last token only. */
const pooledLast = (task: Task): Task => ({
  ...task,
  head: (settings) => ({ ...task.head(settings), pooling: "last" }),
});

/**
 * Fine-tunes each model for each task over seeds. A score is that of the last epoch on the dev rows: nothing is picked there.
 *
 * @throws what `loadModel` and `finetune` throw
 * @example
 * const [one, two] = await compareModels({ models: ["bert", "gpt"], tasks: [{ name: "sst2", task, train, dev }], seeds: 3 });
 */
export async function compareModels(options: CompareOptions): Promise<ComparedModel[]> {
  const { models, tasks, seeds = 3, epochs, learningRate, maxLength, progress = silentProgress } = options;
  const compared: ComparedModel[] = [];
  for (const folder of models) {
    const tokenizer: Tokenizer = loadTokenizer(folder);
    const model = loadModel(folder, { architecture: "Model" });
    const causal = isCausal(model.config);
    let residentBytes = 0;
    const cells: ComparedCell[] = [];
    for (const { name, task, train, dev } of tasks) {
      const values: number[] = [];
      let speed = 0;
      let score = "";
      for (let seed = 1; seed <= seeds; seed++) {
        const result = await finetune<unknown, unknown, unknown>({
          task: causal ? pooledLast(task) : task,
          model: copyOfEncoder(model),
          tokenizer,
          train,
          dev,
          epochs,
          learningRate,
          maxLength,
          seed,
          evaluateEvery: Number.MAX_SAFE_INTEGER,
        });
        score = task.headline(result.settings);
        values.push(result.evaluations.at(-1)?.value ?? Number.NaN);
        speed += (result.run.tokensPerSecond ?? 0) / seeds;
        residentBytes = Math.max(residentBytes, process.memoryUsage.rss());
        result.model.dispose();
        progress.note(`${folder}, ${name}, seed ${seed}: ${score} ${values[seed - 1].toFixed(4)}`);
        if (result.run.interrupted) break;
      }
      cells.push({ task: name, score, values, tokensPerSecond: speed, ...summarizeSeeds(values) });
    }
    const parameters = [...model.encoder.parameters.values()].reduce((sum, { size }) => sum + size, 0);
    compared.push({ model: folder, parameters, direction: causal ? "causal" : "bidirectional", cells, residentBytes });
    model.dispose();
  }
  return compared;
}
