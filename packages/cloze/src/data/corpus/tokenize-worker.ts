// A thread that tokenizes parts of a corpus as they are handed to it.
import { parentPort, workerData } from "node:worker_threads";
import { ClozeError } from "../../errors.js";
import { tokenizerFromJson } from "../../text/index.js";
import type { CorpusPart } from "./documents.js";
import { type TokenizePartOptions, tokenizePart } from "./tokenize-part.js";

const { tokenizer: json, options } = workerData as { tokenizer: string; options: TokenizePartOptions };
const tokenizer = tokenizerFromJson(json);

parentPort?.on("message", async ({ index, part }: { index: number; part: CorpusPart }) => {
  try {
    parentPort?.postMessage({ result: await tokenizePart(index, part, tokenizer, options) });
  } catch (error) {
    // Errors lose their class on the way: the main thread makes the same one again.
    const { code, message, expected, received, remedy } = error as ClozeError;
    const details = error instanceof ClozeError ? { expected, received, remedy } : undefined;
    parentPort?.postMessage({ error: { code, message: String(message), details } });
  }
});
