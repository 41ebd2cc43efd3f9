// The data sets of ../shared/data, where they are: everything in them that is rows reads, and as many as their README says.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readBeir } from "./beir.js";
import { collectRows, openRows } from "./open-rows.js";
import { type DataTask, readTaskRows } from "./tasks.js";

const root = join(import.meta.dirname, "../../../../../../shared/data");

/** File → rows, as the README has them. */
const expected: Record<string, number> = {
  "sst2/train.tsv.gz": 67_349,
  "sst2/dev.tsv": 872,
  "sst5/train.tsv": 8_544,
  "cola/train.tsv": 8_551,
  "mrpc/test.tsv": 1_725,
  "rte/dev.tsv": 277,
  "stsb/train.tsv": 5_749,
  "qqp/train.tsv.gz": 19_999,
  "qnli/dev.tsv": 1_463,
  "sick/test.tsv": 4_927,
  "cad_nli/train.tsv.gz": 8_330,
  "cad_imdb/train.tsv.gz": 3_414,
  "squad/dev-v1.1.json.gz": 10_570,
  "squad/dev-v2.0.json.gz": 11_873,
  "subjqa/electronics_train.jsonl.gz": 2_288,
  "xquad/xquad.th.json.gz": 1_190,
  "piaf_fr/piaf-v1.0.json.gz": 3_835,
  "tquad_tr/train-v0.1.json.gz": 8_308,
  "conll2003/train.conll.gz": 14_041,
  "conll2003/dev.conll": 3_250,
  "conll2003/test.conll": 3_453,
  "litbank/train.jsonl.gz": 80,
  "ncbi_disease/train.conll.gz": 5_424,
  "bc5cdr/test.conll.gz": 4_797,
  "conll2002_es/train.conll.gz": 8_323,
  "agnews/test.tsv.gz": 7_600,
  "trec/train.tsv": 5_452,
  "reuters_r8/train.tsv.gz": 5_485,
  "newsgroups_mini/train.jsonl.gz": 1_400,
  "goemotions/train.tsv.gz": 43_410,
  "tweeteval/offensive_train.tsv.gz": 11_916,
  "womens_reviews/train.tsv.gz": 10_000,
  "scifact/corpus.jsonl.gz": 5_183,
  "qmsum/corpus.jsonl.gz": 232,
  "ml100k/ratings.tsv.gz": 100_000,
  "umsab_tweets/arabic_train.tsv": 1_839,
  "afrisenti/amh_train.tsv.gz": 5_984,
  "tsac_tunisian/train.tsv": 13_665,
  "mahasent_mr/train.tsv.gz": 11_998,
  "mesent_codemix/train.tsv": 9_500,
  "stsb_multi/zh_test.tsv.gz": 1_379,
  "chren/train.tsv.gz": 11_639,
  "digits8x8/digits.csv.gz": 1_797,
  "vgmidi/labels.tsv": 204,
  "midibert_cp/composer_train.jsonl.gz": 156,
  "crisislex/t6.tsv.gz": 60_082,
  "friendspersona/all.jsonl": 711,
  "mts_dialog/train.jsonl.gz": 1_201,
  "unfair_tos/pl_train.tsv.gz": 12_032,
};

const tasks: readonly [DataTask, string, string][] = [
  ["classification", "cad_nli/train.tsv.gz", "text=premise pair=hypothesis label=label"],
  ["classification", "trec/train.tsv", "text=question label=coarse"],
  ["classification", "newsgroups_mini/train.jsonl.gz", "text=text label=label"],
  ["multi-label", "goemotions/train.tsv.gz", "text=text label=label_ids"],
  ["multi-label", "unfair_tos/pl_train.tsv.gz", "text=sentence label=tags"],
  ["regression", "stsb/train.tsv", "text=sentence1 pair=sentence2 label=score"],
  ["token-classification", "bc5cdr/test.conll.gz", "tokens=tokens tags=tags"],
  ["token-classification", "litbank/train.jsonl.gz", "tokens=tokens spans=entities"],
  [
    "question-answering",
    "squad/dev-v2.0.json.gz",
    "question=question context=context answers=answers id=id impossible=is_impossible",
  ],
  [
    "question-answering",
    "subjqa/electronics_train.jsonl.gz",
    "question=question context=context answers=answers id=id impossible=is_impossible",
  ],
];

describe.skipIf(!existsSync(join(root, "README.md")))("the shared data", () => {
  const countOf = async (rows: AsyncIterable<unknown>): Promise<number> => {
    let count = 0;
    for await (const _ of rows) count++;
    return count;
  };

  it("has the rows that its README says", async () => {
    const counted = Object.fromEntries(
      await Promise.all(Object.keys(expected).map(async (path) => [path, await countOf(openRows(join(root, path)))])),
    );
    expect(counted).toEqual(expected);
  });

  it("reads in every file that is rows", async () => {
    const names = readdirSync(root, { recursive: true, encoding: "utf8" });
    const files = names.filter((name) => /\.(tsv|csv|jsonl|conll)(\.gz)?$/.test(name));
    expect(files.length).toBeGreaterThan(150);
    for (const name of files) {
      if (expected[name] !== undefined) continue;
      const rows = openRows(join(root, name));
      expect(await countOf(rows), name).toBeGreaterThan(0);
      // Some tweets were quoted by whoever exported them, and are so in the source.
      const codes = rows.warnings.list().map(({ code }) => code);
      expect(
        codes.filter((code) => code !== "DATA_QUOTES"),
        name,
      ).toEqual([]);
    }
  });

  it("has documents and entities", async () => {
    const rows = await collectRows(openRows(join(root, "conll2003/train.conll.gz")));
    expect(rows.at(-1)?.values.document).toBe(946);
  });

  it.each(tasks)("gives %s rows of %s without being told columns", async (task, path, columns) => {
    const rows = await readTaskRows(task, join(root, path));
    const found = Object.entries(rows.columns).map(([role, column]) => `${role}=${column}`);
    expect(found.sort()).toEqual(columns.split(" ").sort());
    expect(await countOf(rows)).toBe(expected[path]);
  });

  it("holds BEIR's layout", async () => {
    const path = (name: string) => join(root, "scifact", name);
    const data = await readBeir({
      corpus: path("corpus.jsonl.gz"),
      queries: path("queries_test.jsonl"),
      qrels: path("qrels_test.tsv"),
    });
    expect([data.corpus.size, data.queries.size]).toEqual([5_183, 300]);
    const judged = (await collectRows(data.rows)).reduce((sum, { candidates }) => sum + candidates.length, 0);
    expect(judged).toBe(339);
    expect(data.rows.warnings.list()).toEqual([]);
  });
});
