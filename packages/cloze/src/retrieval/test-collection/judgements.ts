// What the judgements of a test collection say, with texts: for parts that learn from them.
import { randomOrder, randomSource } from "../../data/random-source.js";
import type { DataWarnings } from "../../data/readers/warnings.js";
import { createWarnings } from "../../data/readers/warnings.js";
import type { Bm25Options } from "../bm25.js";
import type { Ranking } from "../evaluation/ranking.js";
import type { JudgedQuery } from "../trained-parts/trained-part.js";
import { readCandidateTexts } from "./candidate-texts.js";
import { indexCollection } from "./collection-index.js";
import type { CollectionFiles } from "./files.js";
import { readJudgedQueries } from "./judged-queries.js";
import { readDocuments, withTrecIds } from "./texts.js";

export interface JudgementOptions {
  /** Documents that do not answer a query, for each that does; 4 unless told. */
  others?: number;
  /** BM25 documents of a query that they are drawn of; 100 unless told. */
  depth?: number;
  bm25?: Bm25Options;
  /** Of the draws; 1 unless told. */
  seed?: number;
  warnings?: DataWarnings;
  /** Receives every document of the corpus, judged or not. */
  onDocument?: (document: { title: string; text: string }) => void;
}

/**
 * The judged queries of a split with the texts of documents that answer them, and of others that BM25 finds for them and that no
 * judgement calls relevant. Queries for which no relevant document is there are left out.
 *
 * @throws QRELS_EMPTY, and what reading the files throws
 */
export async function readJudgements(
  files: Pick<CollectionFiles, "corpus" | "queries" | "qrels">,
  { others = 4, depth = 100, bm25, seed = 1, warnings = createWarnings(), onDocument }: JudgementOptions = {},
): Promise<JudgedQuery[]> {
  const { queries, qrels } = await readJudgedQueries(files, warnings);
  const relevant = new Map(
    [...queries.keys()].map((id) => {
      const judged = qrels.get(id) ?? new Map<string, number>();
      return [id, [...judged].filter(([, grade]) => grade > 0).map(([document]) => document)];
    }),
  );
  const drawn = new Map<string, string[]>();
  if (others > 0) {
    // What is odd about documents is counted once, where their texts are read.
    const documents = withTrecIds(readDocuments(files.corpus, createWarnings()));
    const index = await indexCollection(documents, { bm25, warnings: createWarnings() });
    for (const [place, [id, query]] of [...queries].entries()) {
      const answers = relevant.get(id) ?? [];
      const [found] = (await index.bm25?.search([query], { depth })) ?? [[]];
      const left = found.filter((hit) => !answers.includes(hit.id)).map((hit) => hit.id);
      const order = randomOrder(left.length, randomSource(seed, place));
      const chosen = Array.from(order.subarray(0, others * answers.length), (i) => left[i]);
      drawn.set(id, chosen);
    }
    index.dispose();
  }
  const idsOf = (id: string) => [...(relevant.get(id) ?? []), ...(drawn.get(id) ?? [])];
  const rankings = [...queries.keys()].map((id): Ranking => idsOf(id).map((document) => ({ id: document, score: 0 })));
  const texts = await readCandidateTexts(files.corpus, rankings, Number.POSITIVE_INFINITY, warnings, onDocument);
  const read = (ids: readonly string[]) => ids.flatMap((id) => texts.get(id) ?? []);
  return [...queries]
    .map(([id, query]) => ({ query, relevant: read(relevant.get(id) ?? []), others: read(drawn.get(id) ?? []) }))
    .filter((judged) => judged.relevant.length > 0);
}
