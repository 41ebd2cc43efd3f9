// Plain English to learn from, and four tasks to try what was learnt: from the data beside the checkout.
import { randomOrder, randomSource } from "../../data/random-source.js";
import { collectRows, readTaskRows } from "../../data/readers/index.js";
import { type Task, taskOf } from "../../tasks/index.js";
import { pagesOf } from "./pages.js";
import { sharedTable } from "./sentence-pairs.js";
import { requiredText, sharedPath } from "./shared-text.js";

/** A task to fine-tune for, and rows that nothing is chosen by. */
export interface EnglishTask {
  readonly name: "sst2" | "mrpc" | "stsb" | "conll2003";
  readonly task: Task;
  readonly train: readonly unknown[];
  readonly test: readonly unknown[];
  readonly epochs: number;
}

/** Characters of a page. */
const page = 2000;

/**
 * Novels, speeches, news and the paragraphs of encyclopedic articles, shuffled by passages: without a sentence of the
 * tasks' own files.
 *
 * @throws RECIPE_DATA
 */
export function englishCorpus(seed: number): string[] {
  const news = sharedTable("agnews/train.tsv").map(({ text }) => text);
  const { data } = JSON.parse(requiredText("squad/dev-v2.0.json")) as {
    data: { paragraphs: { context: string }[] }[];
  };
  const all = [
    ...pagesOf(requiredText("corpus_books/train.txt"), page),
    ...pagesOf(requiredText("corpus_modern/train.txt"), page),
    ...pagesOf(news.join("\n"), page),
    ...data.flatMap(({ paragraphs }) => pagesOf(paragraphs.map(({ context }) => context).join("\n"), page)),
  ];
  return Array.from(randomOrder(all.length, randomSource(seed, 51)), (i) => all[i]);
}

const files = {
  sst2: { task: "classification", train: "sst2/train.tsv.gz", test: "sst2/dev.tsv", epochs: 2, rows: 10_000 },
  mrpc: { task: "classification", train: "mrpc/train.tsv", test: "mrpc/test.tsv", epochs: 3, rows: Number.NaN },
  stsb: { task: "regression", train: "stsb/train.tsv", test: "stsb/test.tsv", epochs: 3, rows: Number.NaN },
  conll2003: {
    task: "token-classification",
    train: "conll2003/train.conll.gz",
    test: "conll2003/test.conll",
    epochs: 2,
    rows: 10_000,
  },
} as const;

/**
 * SST-2 and the names of CoNLL 2003 (10,000 rows of each, drawn by seed), MRPC and STS-B.
 *
 * @throws RECIPE_DATA
 */
export async function englishTasks(seed: number): Promise<EnglishTask[]> {
  const found: EnglishTask[] = [];
  for (const name of ["sst2", "mrpc", "stsb", "conll2003"] as const) {
    const { task, train, test, epochs, rows } = files[name];
    const read = async (path: string): Promise<unknown[]> =>
      collectRows((await readTaskRows(task, sharedPath(path))) as never);
    const all = await read(train);
    const order = Array.from(randomOrder(all.length, randomSource(seed, 52)));
    const kept = Number.isNaN(rows) ? all : order.slice(0, rows).map((i) => all[i]);
    found.push({ name, task: taskOf(task), train: kept, test: await read(test), epochs });
  }
  return found;
}
