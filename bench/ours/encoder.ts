// Our side of the suites `encoder` and `inference`.
import { type CompiledModel, type CompileOptions, compile, loadModel, packSequences, pruneByMagnitude } from "cloze";
import type { Job } from "../harness.js";

export interface EncoderWork {
  /** Default "float32". */
  weights?: CompileOptions["weights"];
  /** Share of the blocks of 16 outputs at 1 input that are set to zero first. */
  sparsity?: number;
  /** Let the model go once the plan has its weights. */
  planOnly?: boolean;
}

export interface EncoderJob extends Job {
  /** The same plan on other rows of ids, until this job is closed. */
  on(ids: number[][]): Job;
}

/**
 * The forward pass of the BertForMaskedLM folder's encoder on rows of ids (ragged; packed while preparing), as a plan.
 * `outputs()` gives [last hidden states, packed: tokens × hidden].
 */
export const prepareEncoder = async (folder: string, ids: number[][], work: EncoderWork = {}): Promise<EncoderJob> =>
  prepareEncoderNow(folder, ids, work);

function jobOn(compiled: CompiledModel, ids: number[][]): Job {
  const batch = packSequences(ids.map((row) => ({ ids: row })));
  return { run: () => void compiled.runSync(batch), outputs: () => [compiled.runSync(batch)] };
}

/** The same at once, for a backend that `withBackend` sets. */
export function prepareEncoderNow(
  folder: string,
  ids: number[][],
  { weights, sparsity, planOnly }: EncoderWork = {},
): EncoderJob {
  const model = loadModel(folder);
  if (sparsity !== undefined) pruneByMagnitude(model, { sparsity });
  const compiled = compile(model, { weights });
  if (planOnly) model.dispose();
  return {
    ...jobOn(compiled, ids),
    on: (others) => jobOn(compiled, others),
    close() {
      compiled.close();
      if (!planOnly) model.dispose();
    },
  };
}
