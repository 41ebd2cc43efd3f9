import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { ClozeError, type ClozeErrorDetails } from "../../errors.js";
import type { Tokenizer } from "../../text/index.js";
import type { CorpusPart } from "./documents.js";
import { findPart, type TokenizedPart, type TokenizePartOptions, tokenizePart } from "./tokenize-part.js";

export interface TokenizePartsOptions extends TokenizePartOptions {
  /** Threads beside this one; 0: this thread does it. */
  readonly workers: number;
  /** Called after each part with its bytes. */
  readonly onPart?: (result: TokenizedPart, bytes: number) => void;
}

type Answer =
  | { readonly result: TokenizedPart }
  | { readonly error: { code?: string; message: string; details?: ClozeErrorDetails } };

// Where sources run as they are (tests), threads take the built file.
const workerFile = new URL(
  import.meta.url.endsWith(".ts") ? "../../../dist/data/corpus/tokenize-worker.js" : "./tokenize-worker.js",
  import.meta.url,
);

/** Texts are read and forgotten: a small nursery is cleared often, and costs little. */
const resourceLimits = { maxYoungGenerationSizeMb: 16 };

const bytesOf = ({ file, range }: CorpusPart): number => (range === undefined ? file.bytes : range[1] - range[0]);

/** The error that a thread had; its message is whole already. */
function errorOf({ code, message, details }: Extract<Answer, { error: unknown }>["error"]): Error {
  const error = code === undefined ? new Error(message) : new ClozeError(code, message, details);
  error.message = message;
  return error;
}

/**
 * Tokenizes all parts, several at a time; what a part becomes does not depend on how many. Parts that an earlier run has
 * finished are taken as they are.
 *
 * @returns in the order of the parts
 */
export async function tokenizeParts(
  parts: readonly CorpusPart[],
  tokenizer: Tokenizer,
  options: TokenizePartsOptions,
): Promise<TokenizedPart[]> {
  const results: TokenizedPart[] = [];
  const waiting: number[] = [];
  const { workers, onPart, ...partOptions } = options;
  const finish = (result: TokenizedPart): void => {
    results[result.index] = result;
    onPart?.(result, bytesOf(parts[result.index]));
  };
  parts.forEach((_, index) => {
    const found = findPart(options.folder, index);
    if (found === undefined) waiting.push(index);
    else finish(found);
  });
  const threads = existsSync(fileURLToPath(workerFile)) ? Math.min(workers, waiting.length) : 0;
  if (threads === 0) {
    for (const index of waiting) finish(await tokenizePart(index, parts[index], tokenizer, partOptions));
    return results;
  }
  const workerData = { tokenizer: JSON.stringify(tokenizer.toJson()), options: partOptions };
  const pool: Worker[] = [];
  try {
    await Promise.all(
      Array.from({ length: threads }, () => {
        const worker = new Worker(workerFile, { workerData, resourceLimits });
        pool.push(worker);
        return runWorker(
          worker,
          () => {
            const index = waiting.shift();
            return index === undefined ? undefined : { index, part: parts[index] };
          },
          finish,
        );
      }),
    );
  } finally {
    await Promise.all(pool.map((worker) => worker.terminate()));
  }
  return results;
}

/** Hands parts to a worker until there is none left. */
function runWorker(
  worker: Worker,
  next: () => { index: number; part: CorpusPart } | undefined,
  finish: (result: TokenizedPart) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const hand = (): void => {
      const work = next();
      if (work === undefined) resolve();
      else worker.postMessage(work);
    };
    worker.on("message", (answer: Answer) => {
      if ("error" in answer) {
        reject(errorOf(answer.error));
        return;
      }
      finish(answer.result);
      hand();
    });
    worker.on("error", reject);
    hand();
  });
}
