// The loss of a pre-training run on texts that it does not see.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { noGrad, scope, writeFileAtomic } from "@cloze/tensor";
import type { Corpus } from "../data/corpus/index.js";
import { type DocumentSource, withNegatives } from "../data/document-source.js";
import { curveSvg } from "./curve.js";
import type { Pretraining, PretrainOptions } from "./pretrain.js";
import { heldOutBatches, isCorpus, validationBatches } from "./pretraining-batches.js";
import { silentProgress } from "./progress.js";

export interface ValidationRecord {
  /** Optimizer steps done. */
  readonly step: number;
  /** Mean over batches, weighted by their tokens. */
  readonly loss: number;
  readonly tokens: number;
}

export interface Validation {
  measure(step: number): void;
  /** Measures once more unless that step was the last measured, and draws `validation.svg`. */
  finish(step: number): void;
  records(): readonly ValidationRecord[];
}

/** What holds texts out: a corpus, or documents. */
export type HeldOut = Corpus | (DocumentSource & { readonly heldOut: DocumentSource });

/**
 * Without dropout, on tokens that are hidden in the same way each time. NaN where nothing is held out.
 *
 * @param held a corpus, or the documents that are held out
 */
export function validationLoss(
  held: Corpus | DocumentSource,
  { objective, vocabulary, batches }: Pretraining,
  mostTokens = 1 << 17,
): Omit<ValidationRecord, "step"> {
  let [sum, tokens] = [0, 0];
  const asked = isCorpus(held)
    ? validationBatches(held, objective, vocabulary, batches, mostTokens)
    : heldOutBatches(held, objective, batches, mostTokens);
  for (const batch of asked) {
    const count = objective.tokens(batch);
    sum += count * scope(() => noGrad(() => objective.loss(batch, { step: 0, seed: 0, training: false }).item()));
    tokens += count;
  }
  return { loss: sum / tokens, tokens };
}

const fileName = "validation.jsonl";

/** What an earlier part of the run has measured. */
function recordsBefore(folder: string | undefined, resume: boolean | undefined): ValidationRecord[] {
  if (folder === undefined || resume !== true || !existsSync(join(folder, fileName))) return [];
  return readFileSync(join(folder, fileName), "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        return line === "" ? [] : [JSON.parse(line) as ValidationRecord];
      } catch {
        // Cut by a crash.
        return [];
      }
    });
}

/** Follows the loss on what a corpus holds out; the folder gets `validation.jsonl` and `validation.svg`. */
export function createValidation(
  corpus: HeldOut,
  prepared: Pretraining,
  { folder, resume, progress = silentProgress, validationTokens }: PretrainOptions,
): Validation {
  let records = recordsBefore(folder, resume);
  // A few documents have too few negatives among themselves: the task would be another one than that of the training.
  const held = isCorpus(corpus) ? corpus : withNegatives(corpus.heldOut, corpus);
  const measure = (step: number): void => {
    // A resumed run measures again what came after its checkpoint.
    records = records.filter((record) => record.step < step);
    const record = { step, ...validationLoss(held, prepared, validationTokens) };
    if (record.tokens === 0) return;
    records.push(record);
    progress.note(`step ${step}: validation loss ${record.loss.toFixed(4)}`);
    if (folder === undefined) return;
    if (records.length === 1) writeFileAtomic(join(folder, fileName), "");
    appendFileSync(join(folder, fileName), `${JSON.stringify(record)}\n`);
  };
  return {
    measure,
    finish(step) {
      if (records.at(-1)?.step !== step) measure(step);
      if (folder === undefined || records.length === 0) return;
      writeFileAtomic(join(folder, fileName), records.map((record) => `${JSON.stringify(record)}\n`).join(""));
      const points = records.map(({ step: at, loss }) => ({ step: at, value: loss }));
      writeFileAtomic(join(folder, "validation.svg"), curveSvg("validation loss", points));
    },
    records: () => records,
  };
}
