// Evaluations during a run: which one was best, whether to stop, and the weights to go back to.
import { appendFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { copyInto, copyOf, readSafetensors, type Tensor, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { ClozeError } from "../errors.js";

/** One evaluation on the dev rows. */
export interface EvaluationRecord {
  readonly step: number;
  readonly epoch: number;
  /** The score that decides. */
  readonly value: number;
  readonly scores: Readonly<Record<string, number>>;
}

export interface BestCheckpointOptions {
  parameters: ReadonlyMap<string, Tensor>;
  /** Where `evaluations.jsonl` and the best weights are kept; without it, in memory. */
  folder?: string;
  /** Evaluations without improvement after which the run ends. Default: never. */
  patience?: number;
  /** Evaluations after this step belong to a run that is done again. */
  resumedStep: number;
}

const logName = "evaluations.jsonl";
const weightsName = "best.safetensors";

function readRecords(path: string, until: number): EvaluationRecord[] {
  if (until === 0 || !existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as EvaluationRecord];
      } catch {
        // The last line may have been cut by a crash; that evaluation is done again.
        return [];
      }
    })
    .filter(({ step }) => step <= until);
}

/** Follows the evaluations of a run. NaN counts as worse than every number. */
export function followBest({ parameters, folder, patience, resumedStep }: BestCheckpointOptions) {
  const logPath = folder === undefined ? undefined : join(folder, logName);
  const weightsPath = folder === undefined ? undefined : join(folder, weightsName);
  const records = logPath === undefined ? [] : readRecords(logPath, resumedStep);
  if (logPath !== undefined) writeFileAtomic(logPath, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  let copies: Map<string, Tensor> | undefined;
  const forget = () => {
    for (const copy of copies?.values() ?? []) copy.dispose();
    copies = undefined;
  };
  // JSON has no NaN: a record that was read again holds null.
  const rankedBy = ({ value }: EvaluationRecord): number => (Number.isFinite(value) ? value : Number.NEGATIVE_INFINITY);
  const best = (): EvaluationRecord | undefined =>
    records.reduce<EvaluationRecord | undefined>(
      (found, record) => (found === undefined || rankedBy(record) > rankedBy(found) ? record : found),
      undefined,
    );
  const keep = () => {
    if (weightsPath !== undefined) {
      writeSafetensors(weightsPath, parameters);
      return;
    }
    forget();
    copies = new Map([...parameters].map(([name, value]) => [name, copyOf(value).keep("weights")]));
  };
  const write = (name: string, from: Tensor) => copyInto(parameters.get(name) as Tensor, from);
  return {
    records: records as readonly EvaluationRecord[],
    best,
    /** True when the last evaluations brought nothing better. */
    exhausted(): boolean {
      const top = best();
      if (patience === undefined || top === undefined) return false;
      return records.length - 1 - records.indexOf(top) >= patience;
    },
    /** Adds an evaluation; keeps the weights when it is the best so far and not the last one. */
    add(record: EvaluationRecord, last: boolean): void {
      records.push(record);
      if (logPath !== undefined) appendFileSync(logPath, `${JSON.stringify(record)}\n`);
      if (best() === record && !last) keep();
    },
    /**
     * Puts the weights of the best evaluation back.
     *
     * @throws BEST_MISSING
     */
    restore(currentStep: number): void {
      const top = best();
      if (top === undefined || top.step === currentStep) return;
      if (weightsPath === undefined) {
        for (const [name, value] of copies ?? []) write(name, value);
        return;
      }
      if (!existsSync(weightsPath)) {
        throw new ClozeError("BEST_MISSING", `The best weights, of step ${top.step}, are not in ${weightsPath}`, {
          remedy: "Run again without --resume.",
        });
      }
      const file = readSafetensors(weightsPath);
      for (const name of parameters.keys()) {
        const value = file.load(name);
        write(name, value);
        value.dispose();
      }
      file.close();
    },
    /** Frees the copies and removes the file. */
    done(): void {
      forget();
      if (weightsPath !== undefined) rmSync(weightsPath, { force: true });
    },
  };
}
