// Our side of the suite `tokenizer`.
import { readFileSync } from "node:fs";
import { tokenizerFromJson } from "cloze";
import type { Job } from "../harness.js";

/**
 * Encodes every text with special tokens, without truncation. `outputs()` gives [all ids, one text after the other].
 * Each run makes its tokenizer anew from the parsed file, and pays for it: words that an earlier run cut are not remembered.
 */
export async function prepareTokenizer(tokenizerJson: string, texts: string[]): Promise<Job> {
  const json: unknown = JSON.parse(readFileSync(tokenizerJson, "utf8"));
  const encode = () => {
    const tokenizer = tokenizerFromJson(json);
    return texts.map((text) => tokenizer.encodeIds(text, { truncation: false }));
  };
  return {
    run: () => void encode(),
    outputs: () => [Float32Array.from(encode().flatMap((ids) => Array.from(ids)))],
  };
}
