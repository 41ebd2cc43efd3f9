// Queries with their judgements.
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import { trecId } from "../evaluation/run-file.js";
import type { CollectionFiles } from "./files.js";
import { type Qrels, readQrels } from "./qrels.js";
import { readQueries } from "./texts.js";

/** Judgements with the ids that TREC's files hold; ids that change are counted. */
function withTrecIds(qrels: Qrels, warnings: DataWarnings, path: string): Map<string, Map<string, number>> {
  const solid = (id: string): string => {
    const changed = trecId(id);
    if (changed !== id)
      warnings.add(
        "QRELS_ID_BLANKS",
        "ids with blanks, which no TREC file can hold: _ stands for them",
        `${path} (${id})`,
      );
    return changed;
  };
  return new Map(
    [...qrels].map(([query, judged]) => [
      solid(query),
      new Map([...judged].map(([document, grade]) => [solid(document), grade])),
    ]),
  );
}

/**
 * The judged queries of a split; those without a text are counted and left out. Blanks in ids become `_`, so that what is
 * scored here is what a run and judgements in TREC's files score.
 *
 * @throws QRELS_EMPTY when no query is both there and judged
 */
export async function readJudgedQueries(
  files: Pick<CollectionFiles, "queries" | "qrels">,
  warnings: DataWarnings,
): Promise<{ queries: Map<string, string>; qrels: Map<string, Map<string, number>> }> {
  const written = await readQrels(files.qrels, warnings);
  const texts = await readQueries(files.queries, warnings, new Set(written.keys()));
  const found = new Map([...texts].map(([id, text]) => [trecId(id), text]));
  const qrels = withTrecIds(written, warnings, files.qrels);
  const queries = new Map<string, string>();
  for (const [id, judged] of qrels) {
    const text = found.get(id);
    if (text === undefined) {
      warnings.add(
        "QRELS_QUERY_UNKNOWN",
        "judged queries that are not there; they were left out",
        `${files.qrels} (${id})`,
      );
      qrels.delete(id);
      continue;
    }
    queries.set(id, text);
    if (![...judged.values()].some((grade) => grade > 0))
      warnings.add(
        "QRELS_NONE_RELEVANT",
        "queries for which nothing is relevant; they score 0",
        `${files.qrels} (${id})`,
      );
  }
  if (queries.size > 0) return { queries, qrels };
  throw new ClozeError("QRELS_EMPTY", "No query is both there and judged", {
    expected: `ids of ${files.queries} in ${files.qrels}`,
    received: "none in common",
    remedy: "Check that both files belong together.",
  });
}
