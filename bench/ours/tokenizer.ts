// Our side of the suite `tokenizer`.
import type { Job } from "../harness.js";

/** Encodes every text with special tokens, without truncation. `outputs()` gives [all ids, one text after the other]. */
export async function prepareTokenizer(_tokenizerJson: string, _texts: string[]): Promise<Job> {
  throw new Error("ours not wired: bench/ours/tokenizer.ts");
}
