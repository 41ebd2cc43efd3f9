// The texts of the documents that rankings name, read from a corpus that need not fit in memory.
import type { DataWarnings } from "../../data/readers/warnings.js";
import type { Ranking } from "../evaluation/ranking.js";
import { readDocuments, withTrecIds } from "./texts.js";

/**
 * Texts by id (with `_` for blanks) of the first `depth` documents of each ranking.
 *
 * @param onDocument receives every document of the corpus, for whoever wants all of them too
 */
export async function readCandidateTexts(
  corpus: string,
  rankings: Iterable<Ranking>,
  depth: number,
  warnings: DataWarnings,
  onDocument?: (document: { title: string; text: string }) => void,
): Promise<Map<string, { title: string; text: string }>> {
  const wanted = new Set<string>();
  for (const ranking of rankings) for (const { id } of ranking.slice(0, depth)) wanted.add(id);
  const texts = new Map<string, { title: string; text: string }>();
  for await (const { id, title, text } of withTrecIds(readDocuments(corpus, warnings))) {
    onDocument?.({ title, text });
    if (wanted.has(id)) texts.set(id, { title, text });
  }
  return texts;
}
