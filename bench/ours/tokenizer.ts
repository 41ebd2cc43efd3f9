// Our side of the suite `tokenizer`.
import { loadTokenizer } from "cloze";
import type { Job } from "../harness.js";

/** Encodes every text with special tokens, without truncation. `outputs()` gives [all ids, one text after the other]. */
export async function prepareTokenizer(tokenizerJson: string, texts: string[]): Promise<Job> {
  const tokenizer = loadTokenizer(tokenizerJson);
  const encode = () => texts.map((text) => tokenizer.encodeIds(text, { truncation: false }));
  return {
    run: () => void encode(),
    outputs: () => [Float32Array.from(encode().flatMap((ids) => Array.from(ids)))],
  };
}
