// The texts of the documents that rankings name, read from a corpus that need not fit in memory.
import type { DataWarnings } from "../../data/readers/warnings.js";
import type { Ranking } from "../evaluation/ranking.js";
import { readDocuments, withTrecIds } from "./texts.js";

/** Texts by id (with `_` for blanks) of the first `depth` documents of each ranking. */
export async function readCandidateTexts(
  corpus: string,
  rankings: Iterable<Ranking>,
  depth: number,
  warnings: DataWarnings,
): Promise<Map<string, { title: string; text: string }>> {
  const wanted = new Set<string>();
  for (const ranking of rankings) for (const { id } of ranking.slice(0, depth)) wanted.add(id);
  const texts = new Map<string, { title: string; text: string }>();
  for await (const { id, title, text } of withTrecIds(readDocuments(corpus, warnings)))
    if (wanted.has(id)) texts.set(id, { title, text });
  return texts;
}
