// Our side of the suites `encoder` and `inference`.
import { type CompileOptions, compile, loadModel, packSequences, pruneByMagnitude } from "cloze";
import type { Job } from "../harness.js";

export interface EncoderWork {
  /** Default "float32". */
  weights?: CompileOptions["weights"];
  /** Share of the blocks of 16 outputs at 1 input that are set to zero first. */
  sparsity?: number;
  /** Let the model go once the plan has its weights. */
  planOnly?: boolean;
}

/**
 * The forward pass of the BertForMaskedLM folder's encoder on rows of ids (ragged; packed while preparing), as a plan.
 * `outputs()` gives [last hidden states, packed: tokens × hidden].
 */
export const prepareEncoder = async (folder: string, ids: number[][], work: EncoderWork = {}): Promise<Job> =>
  prepareEncoderNow(folder, ids, work);

/** The same at once, for a backend that `withBackend` sets. */
export function prepareEncoderNow(
  folder: string,
  ids: number[][],
  { weights, sparsity, planOnly }: EncoderWork = {},
): Job {
  const model = loadModel(folder);
  if (sparsity !== undefined) pruneByMagnitude(model, { sparsity });
  const compiled = compile(model, { weights });
  if (planOnly) model.dispose();
  const batch = packSequences(ids.map((row) => ({ ids: row })));
  return {
    run: () => void compiled.runSync(batch),
    outputs: () => [compiled.runSync(batch)],
    close() {
      compiled.close();
      if (!planOnly) model.dispose();
    },
  };
}
