// A run after a cross-encoder, and a run's file: what commands on test collections share.
import { writeFileAtomic } from "@cloze/tensor";
import { createWarnings } from "../data/readers/warnings.js";
import type { Ranking, Run } from "../retrieval/evaluation/ranking.js";
import { runLines } from "../retrieval/evaluation/run-file.js";
import { fullText, readCandidateTexts } from "../retrieval/test-collection/index.js";
import { createMeter, type ProgressReporter } from "../training/progress.js";
import type { RerankOptions } from "./rerank-options.js";
import type { OpenedReranker } from "./reranker-kinds.js";

export interface RerankRunOptions extends Pick<RerankOptions, "rerankDepth"> {
  /** File of the documents. */
  corpus: string;
  progress: ProgressReporter;
  /** What is odd about the documents. Default: not kept. */
  warnings?: ReturnType<typeof createWarnings>;
}

/** Reranks the run's queries that have a text; others are not in what comes out. `name` says how it was done. */
export async function rerankRun(
  model: OpenedReranker,
  run: Run,
  queries: ReadonlyMap<string, string>,
  { corpus, progress, rerankDepth, warnings = createWarnings() }: RerankRunOptions,
): Promise<{ name: string; result: Map<string, Ranking> }> {
  const texts = await readCandidateTexts(corpus, run.values(), rerankDepth, warnings);
  const reranker = model.stage(
    (id) => texts.get(id),
    () => [...texts.values()].map(fullText),
  );
  const result = new Map<string, Ranking>();
  const asked = [...run].filter(([id]) => queries.has(id));
  const meter = createMeter(`rerank ${reranker.name}`, () => result.size / asked.length);
  for (const [id, ranking] of asked) {
    result.set(id, await reranker.rerank(queries.get(id) as string, ranking));
    progress.update(meter.event(result.size));
  }
  progress.done();
  return { name: reranker.name, result };
}

/** Writes a run as TREC does. */
export function writeRun(path: string, run: Run, tag: string): void {
  writeFileAtomic(
    path,
    (function* () {
      for (const line of runLines(run, tag)) yield Buffer.from(line);
    })(),
  );
}
