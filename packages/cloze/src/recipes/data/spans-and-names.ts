// Texts to pre-train on, and two tasks whose answers stand in a text: where a question is answered, and which words are names.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type RandomSource, randomOrder, randomSource } from "../../data/random-source.js";
import { collectRows, type QuestionRow, readTaskRows, type TokenRow } from "../../data/readers/index.js";
import { contractClauses } from "./contract-clauses.js";
import { novelsAndNews } from "./registers.js";
import { isShared, sharedPath, sharedText } from "./shared-text.js";

export interface SpansAndNames {
  /** Where rows come from, for the log. */
  readonly source: string;
  readonly texts: readonly string[];
  readonly spans: { readonly train: readonly QuestionRow[]; readonly test: readonly QuestionRow[] };
  readonly names: { readonly train: readonly TokenRow[]; readonly test: readonly TokenRow[] };
}

/** Words of a context. */
const contextWords = 100;

const drawn = <T>(list: readonly T[], count: number, seed: number, stream: number): T[] =>
  Array.from(randomOrder(list.length, randomSource(seed, 61, stream)).subarray(0, count), (i) => list[i]);

/** A context of some hundred words with the answer anywhere in it; undefined where the answer is longer. */
export function cutContext(
  context: string,
  { text, start }: { text: string; start: number },
  random: RandomSource,
): { context: string; start: number } | undefined {
  const words = [...context.matchAll(/\S+/g)].map(({ 0: word, index }) => [index, index + word.length] as const);
  const first = words.findLastIndex(([from]) => from <= start);
  const last = words.findIndex(([, to]) => to >= start + text.length);
  if (first < 0 || last < first || last - first >= contextWords) return undefined;
  const [least, most] = [
    Math.max(0, last - contextWords + 1),
    Math.max(0, Math.min(first, words.length - contextWords)),
  ];
  const from = Math.min(first, least + Math.floor(random() * (most - least + 1)));
  const to = Math.min(words.length, from + contextWords);
  const begin = words[from][0];
  return { context: context.slice(begin, words[to - 1][1]), start: start - begin };
}

interface SquadArticle {
  readonly title: string;
  readonly paragraphs: readonly {
    readonly context: string;
    readonly qas: readonly {
      readonly question: string;
      readonly answers: readonly { readonly text: string; readonly answer_start: number }[];
    }[];
  }[];
}

/** Questions of SQuAD's dev part; those of the evaluation's articles are the test. */
function squadSpans(seed: number): SpansAndNames["spans"] {
  const { data } = JSON.parse(gunzipSync(readFileSync(sharedPath("squad/dev-v1.1.json.gz"))).toString("utf8")) as {
    data: SquadArticle[];
  };
  const split = JSON.parse(readFileSync(sharedPath("squad/articles_split.json"), "utf8")) as { eval: string[] };
  const random = randomSource(seed, 62);
  const rows = { train: [] as QuestionRow[], test: [] as QuestionRow[] };
  for (const { title, paragraphs } of data) {
    const part = split.eval.includes(title) ? rows.test : rows.train;
    for (const { context, qas } of paragraphs) {
      for (const { question, answers } of qas) {
        const [{ text, answer_start: start }] = answers;
        const cut = cutContext(context, { text, start }, random);
        if (cut === undefined) continue;
        const row = part.length + 1;
        part.push({ id: String(row), question, context: cut.context, answers: [{ text, start: cut.start }], row });
      }
    }
  }
  return { train: drawn(rows.train, 4000, seed, 1), test: drawn(rows.test, 600, seed, 2) };
}

/** Facts about people in a row; the question names one of them. */
function madeSpans(seed: number, texts: readonly string[]): SpansAndNames["spans"] {
  const random = randomSource(seed, 63);
  const words = [
    ...new Set(
      texts
        .slice(0, 200)
        .join(" ")
        .match(/[a-z]{4,}/gi) ?? [],
    ),
  ].slice(0, 400);
  const pick = (): string => words[Math.floor(random() * words.length)];
  const make = (count: number): QuestionRow[] =>
    Array.from({ length: count }, (_, i) => {
      const facts = Array.from({ length: 8 }, () => ({ who: pick(), what: `${pick()} ${pick()}`, how: pick() }));
      const asked = facts[Math.floor(random() * facts.length)];
      const sentences = facts.map(({ who, what, how }) => `${who} keeps the ${what} with ${how} and ${pick()} .`);
      const before = sentences.slice(0, facts.indexOf(asked)).join(" ");
      const start = (before === "" ? 0 : before.length + 1) + `${asked.who} keeps the `.length;
      const answers = [{ text: asked.what, start }];
      return {
        id: String(i),
        question: `what keeps ${asked.who} ?`,
        context: sentences.join(" "),
        answers,
        row: i + 1,
      };
    });
  return { train: make(4000), test: make(600) };
}

async function conllNames(seed: number): Promise<SpansAndNames["names"]> {
  const read = async (path: string): Promise<TokenRow[]> =>
    collectRows((await readTaskRows("token-classification", sharedPath(path))) as never);
  const [train, test] = [await read("conll2003/train.conll.gz"), await read("conll2003/test.conll")];
  return { train: drawn(train, 3000, seed, 3), test: drawn(test, 1000, seed, 4) };
}

/** SQuAD and CoNLL 2003 where ../shared/data has them, beside novels; else made ones. */
export async function spansAndNames(seed: number, bytes: number): Promise<SpansAndNames> {
  const { large: texts } = novelsAndNews(seed, { large: bytes, small: 1, held: 1, labelled: 0, test: 0 });
  const needed = [
    "squad/dev-v1.1.json.gz",
    "squad/articles_split.json",
    "conll2003/train.conll.gz",
    "conll2003/test.conll",
  ];
  if (sharedText("corpus_books/train.txt") !== undefined && needed.every(isShared)) {
    return { source: "SQuAD and CoNLL 2003", texts, spans: squadSpans(seed), names: await conllNames(seed) };
  }
  const { tagged, taggedTest } = contractClauses(seed);
  return { source: "made rows", texts, spans: madeSpans(seed, texts), names: { train: tagged, test: taggedTest } };
}
