// Articles with questions about their paragraphs: SQuAD's where it lies beside the repository, else made ones.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type RandomSource, randomSource } from "../../data/random-source.js";
import type { TextDocument } from "../../text/documents.js";
import { checkout } from "../find.js";
import { sharedPath } from "./shared-text.js";

export interface QuestionArticles {
  readonly source: string;
  readonly articles: readonly TextDocument[];
  /** Every paragraph, in the order of the articles. */
  readonly paragraphs: readonly string[];
  /** A question and the number of its paragraph; those of some articles are for training, those of others for the test. */
  readonly train: readonly { readonly question: string; readonly paragraph: number }[];
  /** Others of the training's articles, to choose settings by. */
  readonly fit: readonly { readonly question: string; readonly paragraph: number }[];
  readonly test: readonly { readonly question: string; readonly paragraph: number }[];
}

interface SquadArticle {
  title: string;
  paragraphs: { context: string; qas: { question: string }[] }[];
}

/** As the card of arXiv 2002.03932 has it: 441 questions of other articles to train on, those of the evaluation's as test. */
function squad(path: string, evaluation: ReadonlySet<string>, seed: number): QuestionArticles {
  const { data } = JSON.parse(gunzipSync(readFileSync(path)).toString("utf8")) as { data: SquadArticle[] };
  const paragraphs: string[] = [];
  const all: { question: string; paragraph: number; test: boolean }[] = [];
  for (const { title, paragraphs: own } of data) {
    for (const { context, qas } of own) {
      for (const { question } of qas) all.push({ question, paragraph: paragraphs.length, test: evaluation.has(title) });
      paragraphs.push(context);
    }
  }
  const random = randomSource(seed, 11);
  const drawn = all.filter(({ test }) => !test).map((item) => ({ item, at: random() }));
  const train = drawn.sort((a, b) => a.at - b.at).slice(0, 741);
  return {
    source: "SQuAD 1.1 dev",
    articles: data.map(({ title, paragraphs: own }) => ({
      title,
      sections: [own.map(({ context }) => ({ text: context }))],
    })),
    paragraphs,
    train: train.slice(0, 441).map(({ item }) => item),
    fit: train.slice(441).map(({ item }) => item),
    test: all.filter(({ test }) => test),
  };
}

/** Articles of a topic; each paragraph has a few words of its own, which its questions ask with. */
function made(seed: number): QuestionArticles {
  const random = randomSource(seed, 12);
  const zipf = (count: number, source: RandomSource) => Math.floor(count * source() ** 3);
  const paragraphs: string[] = [];
  const questions: { question: string; paragraph: number; test: boolean }[] = [];
  const articles = Array.from({ length: 48 }, (_, a): TextDocument => {
    const texts = Array.from({ length: 20 }, () => {
      const rare = Array.from({ length: 4 }, () => `rare${Math.floor(random() * 1500)}`);
      const word = () => {
        const kind = random();
        if (kind < 0.3) return rare[Math.floor(random() * rare.length)];
        return kind < 0.6 ? `topic${a}x${zipf(40, random)}` : `common${zipf(200, random)}`;
      };
      const sentence = (length: number) =>
        `${Array.from({ length }, word).join(" ")}.`.replace(/^./, (c) => c.toUpperCase());
      for (let i = 0; i < 2; i++) questions.push({ question: sentence(6), paragraph: paragraphs.length, test: a < 12 });
      paragraphs.push(Array.from({ length: 5 }, () => sentence(10)).join(" "));
      return { text: paragraphs[paragraphs.length - 1] };
    });
    return { title: `article${a}`, sections: [texts] };
  });
  return {
    source: "made articles",
    articles,
    paragraphs,
    train: questions.filter(({ test }) => !test).slice(0, 441),
    fit: questions.filter(({ test }) => !test).slice(441, 741),
    test: questions.filter(({ test }) => test),
  };
}

/** A question of SQuAD's dev part, the number of its paragraph, and which articles its own is of; some are of neither. */
export interface SplitQuestion {
  readonly question: string;
  readonly paragraph: number;
  readonly split?: "train" | "eval";
}

/** All paragraphs and questions of SQuAD's dev part, with the split of its articles. @throws RECIPE_DATA */
export function squadQuestions(): { paragraphs: readonly string[]; questions: readonly SplitQuestion[] } {
  const text = gunzipSync(readFileSync(sharedPath("squad/dev-v1.1.json.gz"))).toString("utf8");
  const { data } = JSON.parse(text) as { data: SquadArticle[] };
  const named = JSON.parse(readFileSync(sharedPath("squad/articles_split.json"), "utf8")) as Record<string, unknown>;
  const isIn = (split: string, title: string) => Array.isArray(named[split]) && named[split].includes(title);
  const paragraphs: string[] = [];
  const questions: SplitQuestion[] = [];
  for (const { title, paragraphs: own } of data) {
    const split = isIn("eval", title) ? "eval" : isIn("train", title) ? "train" : undefined;
    for (const { context, qas } of own) {
      for (const { question } of qas) questions.push({ question, paragraph: paragraphs.length, split });
      paragraphs.push(context);
    }
  }
  return { paragraphs, questions };
}

/** SQuAD's articles where ../shared/data has them, else made ones; `source` says which. */
export function questionArticles(seed: number): QuestionArticles {
  const folder = join(checkout(), "..", "shared", "data", "squad");
  const [path, split] = [join(folder, "dev-v1.1.json.gz"), join(folder, "articles_split.json")];
  if (!existsSync(path) || !existsSync(split)) return made(seed);
  const named = JSON.parse(readFileSync(split, "utf8")) as Record<string, unknown>;
  const evaluation = Object.entries(named).find(([name]) => /eval|test/.test(name))?.[1];
  return squad(path, new Set(Array.isArray(evaluation) ? evaluation.map(String) : []), seed);
}
