// Queries with their judgements.
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import type { CollectionFiles } from "./files.js";
import { readQrels } from "./qrels.js";
import { readQueries } from "./texts.js";

/**
 * The judged queries of a split; those without a text are counted and left out.
 *
 * @throws QRELS_EMPTY when no query is both there and judged
 */
export async function readJudgedQueries(
  files: Pick<CollectionFiles, "queries" | "qrels">,
  warnings: DataWarnings,
): Promise<{ queries: Map<string, string>; qrels: Map<string, Map<string, number>> }> {
  const qrels = await readQrels(files.qrels, warnings);
  const found = await readQueries(files.queries, warnings, new Set(qrels.keys()));
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
