// Our side of the suite `encoder`.
import type { Job } from "../harness.js";

/**
 * The forward pass of the BertForMaskedLM folder's encoder on rows of ids (ragged; pack them while preparing), without
 * gradients or dropout. `outputs()` gives [last hidden states, packed: tokens × hidden].
 */
export async function prepareEncoder(_folder: string, _ids: number[][]): Promise<Job> {
  throw new Error("ours not wired: bench/ours/encoder.ts");
}
