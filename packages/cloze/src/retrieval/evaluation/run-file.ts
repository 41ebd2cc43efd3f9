// TREC's run files: query, Q0, document, rank, score, tag.
import { readLineBlocks } from "../../data/readers/text-blocks.js";
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import type { Run, ScoredDocument } from "./ranking.js";

/** An id as TREC's files hold it, whose columns are parted by blanks: each run of them becomes `_`. */
export const trecId = (id: string): string => id.replace(/\s+/g, "_");

/** A run's lines, best first; blanks in ids become `_`. */
export function* runLines(run: Run, tag = "cloze"): Generator<string> {
  for (const [query, ranking] of run) {
    let rank = 0;
    for (const { id, score } of ranking) yield `${trecId(query)} Q0 ${trecId(id)} ${++rank} ${score} ${trecId(tag)}\n`;
  }
}

/**
 * Reads a run; the ranks in the file do not matter, its scores do. A document that a query names twice keeps its higher
 * score and is counted.
 *
 * @throws RUN_ROW for a line without four columns or without a number for a score, and what reading a file throws
 */
export async function readRun(path: string, warnings: DataWarnings): Promise<Map<string, ScoredDocument[]>> {
  const run = new Map<string, Map<string, number>>();
  for await (const { lines, first } of readLineBlocks(path, warnings)) {
    for (const [i, line] of lines.entries()) {
      if (line.trim() === "") continue;
      const fields = line.trim().split(/\s+/);
      const [query, , id, rank, written] = fields;
      const score = Number(written ?? (rank === undefined ? undefined : -Number(rank)));
      const place = `${path}, line ${first + i}`;
      if (fields.length < 4 || !Number.isFinite(score)) {
        throw new ClozeError("RUN_ROW", `${place} is no line of a TREC run`, {
          expected: "query Q0 document rank score tag",
          received: JSON.stringify(line.slice(0, 80)),
        });
      }
      const ranking = run.get(query) ?? new Map<string, number>();
      const before = ranking.get(id);
      if (before !== undefined)
        warnings.add("RUN_TWICE", "documents listed twice for a query; the higher score counts", place);
      ranking.set(id, Math.max(score, before ?? Number.NEGATIVE_INFINITY));
      run.set(query, ranking);
    }
  }
  return new Map(
    [...run].map(([query, ranking]) => [
      query,
      [...ranking].map(([id, score]) => ({ id, score })).sort((a, b) => b.score - a.score),
    ]),
  );
}
