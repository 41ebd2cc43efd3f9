// BERT for information retrieval: which blocks of a long document are worth reading, and what its passages' scores become.
import { aggregatePassages, Bm25Index, bestPlaces, bm25BlockScorer, cutBlocks, cutPassages } from "cloze";
import { defineRecipe, longMeetings, type MeetingQuestion, randomOrder, randomSource } from "cloze/recipes";

const size = 63;
const budget = 7 * size;
const parameters = { k1: 0.9, b: 0.4 };

/** Words of a meeting in lower case, speakers among them, and the turn of each. */
function wordsOf(turns: readonly (readonly [string, string])[]) {
  const words: string[] = [];
  const turnOf: number[] = [];
  for (const [turn, [speaker, said]] of turns.entries()) {
    for (const word of `${speaker} ${said}`.toLowerCase().match(/\w+/g) ?? []) {
      words.push(word);
      turnOf.push(turn);
    }
  }
  return { words, turnOf };
}

function prepare(seed: number) {
  const { source, meetings, questions } = longMeetings(seed);
  const documents = meetings.map(({ id, turns }) => {
    const { words, turnOf } = wordsOf(turns);
    const text = words.join(" ");
    return { id, text, words, turnOf, blocks: cutBlocks(text, { words: size }) };
  });
  const places = new Map(documents.map(({ id }, place) => [id, place]));
  return {
    source,
    documents,
    questions: questions.map((question) => ({ ...question, place: places.get(question.meeting) ?? -1 })),
    whole: new Bm25Index(
      documents.map(({ text }) => text),
      parameters,
    ),
    seed,
  };
}
type Data = ReturnType<typeof prepare>;
type Document = Data["documents"][number];
type Question = MeetingQuestion & { readonly place: number };

/** Which words are read, as ranges. */
type Selection = (question: Question, document: Document, data: Data, number: number) => (readonly [number, number])[];

/** Words of blocks: without punctuation to cut at, all are full but the last. */
const rangesOf = (places: readonly number[], { words }: Document) =>
  places.map((place) => [place * size, Math.min(words.length, (place + 1) * size)] as const);

const selections: Record<string, Selection> = {
  first: (_, { words }) => [[0, Math.min(words.length, budget)]],
  "random blocks": (_, document, { seed }, number) =>
    rangesOf(Array.from(randomOrder(document.blocks.length, randomSource(seed, number)).subarray(0, 7)), document),
  "best window": ({ text }, { words }, { whole }) => {
    const starts = Array.from({ length: Math.max(1, Math.ceil((words.length - budget) / size)) }, (_, i) => i * size);
    const windows = starts.map((start) => words.slice(start, start + budget).join(" "));
    const [best] = bestPlaces(bm25BlockScorer(whole.statistics)(text, windows), 1);
    return [[starts[best], Math.min(words.length, starts[best] + budget)]];
  },
  "key blocks": ({ text }, document, { whole }) =>
    rangesOf(bestPlaces(bm25BlockScorer(whole.statistics)(text, document.blocks), 7), document),
};

/** What is gold of what is read, over all questions. */
function selected(select: Selection, data: Data) {
  let [gold, any, share] = [0, 0, 0];
  for (const [number, question] of data.questions.entries()) {
    const document = data.documents[question.place];
    const isGold = document.turnOf.map((turn) => question.spans.some(([from, to]) => turn >= from && turn <= to));
    const all = isGold.filter(Boolean).length;
    const ranges = select(question, document, data, number);
    const found = ranges.reduce((sum, [from, to]) => sum + isGold.slice(from, to).filter(Boolean).length, 0);
    gold += found / budget;
    any += Number(found > 0);
    share += found / Math.max(1, Math.min(all, budget));
  }
  const { length } = data.questions;
  return { gold: gold / length, any: any / length, share: share / length };
}

const reciprocalRank = (scores: ArrayLike<number>, wanted: number): number => {
  let rank = 1;
  for (let i = 0; i < scores.length; i++) if (scores[i] > scores[wanted]) rank++;
  return rank > 10 ? 0 : 1 / rank;
};

type Aggregate = (passages: readonly (readonly number[])[], whole: Float32Array) => ArrayLike<number>;
const share = (scores: ArrayLike<number>): number[] => {
  const most = Math.max(...Array.from(scores));
  return Array.from(scores, (score) => (most > 0 ? score / most : 0));
};
const maxP: Aggregate = (passages) => passages.map((scores) => aggregatePassages(scores, "max"));
const aggregates: Record<string, Aggregate> = {
  "whole document": (_, whole) => whole,
  FirstP: (passages) => passages.map((scores) => aggregatePassages(scores, "first")),
  MaxP: maxP,
  SumP: (passages) => passages.map((scores) => aggregatePassages(scores, "sum")),
  "best four": (passages) => passages.map((scores) => aggregatePassages(scores, { top: 4 })),
  "whole and MaxP": (passages, whole) => {
    const document = share(whole);
    return share(maxP(passages, whole)).map((score, i) => score + document[i]);
  },
};

/** Mean reciprocal rank of the meeting that a question is about. */
function ranked(aggregate: Aggregate, { documents, questions, whole }: Data) {
  const owners: number[] = [];
  const passages = documents.flatMap(({ text }, place) => {
    const cut = cutPassages(text, { words: 150, stride: 75, most: Number.POSITIVE_INFINITY });
    for (const _ of cut) owners.push(place);
    return cut;
  });
  const index = new Bm25Index(passages, parameters);
  const mrr = questions.reduce((sum, { text, place }) => {
    const byDocument: number[][] = documents.map(() => []);
    index.scores(text).forEach((score, i) => {
      byDocument[owners[i]].push(score);
    });
    return sum + reciprocalRank(aggregate(byDocument, whole.scores(text)), place);
  }, 0);
  return { mrr: mrr / questions.length };
}

export default defineRecipe({
  paper: "bert-for-ir-survey",
  title: "Utilizing BERT for information retrieval: survey",
  source: "arXiv 2403.00784",
  parts: ["retrieval/rerank/key-blocks.ts", "retrieval/rerank/passages.ts"],
  about:
    "What a cross-encoder should read of a document that is longer than its window. First: of meetings of 8,000 words (QMSum; made ones where it is not at hand), 441 words are read; which of these are gold, by the turns that people marked for each of 481 questions. Blocks of 63 words are scored by BM25 with the collection's inverse document frequencies, and the best seven are kept. Then: which meeting a question is about, when passages of 150 words, 75 apart, are scored by BM25 and their scores become one. Nothing is trained; the seed only draws the random blocks.",
  arms: {
    first: { reads: "first" },
    random: { reads: "random blocks" },
    window: { reads: "best window" },
    key: { reads: "key blocks" },
    whole: { reads: "whole document" },
    FirstP: { reads: "FirstP" },
    MaxP: { reads: "MaxP" },
    SumP: { reads: "SumP" },
    top4: { reads: "best four" },
    both: { reads: "whole and MaxP" },
  },
  data({ seed, scale, progress }) {
    const data = prepare(seed);
    const questions = scale === "quick" ? data.questions.slice(0, 100) : data.questions;
    progress.note(`${data.source}: ${data.documents.length} meetings, ${questions.length} questions`);
    return { ...data, questions };
  },
  run: ({ reads }, data) => (reads in selections ? selected(selections[reads], data) : ranked(aggregates[reads], data)),
  bounds: [
    {
      claim: "key blocks: questions with a gold word among what is read",
      paper: "the card's pilot .813, required .75",
      value: (of) => of.key.any,
      atLeast: 0.75,
    },
    {
      claim: "the first 441 words: the same",
      paper: "the card's pilot .106, at most .15",
      value: (of) => of.first.any,
      atMost: 0.15,
    },
    {
      claim: "7 random blocks: the same",
      paper: "the card's pilot .455, at most .50",
      value: (of) => of.random.any,
      atMost: 0.5,
    },
    {
      claim: "question to meeting, MRR@10: the best four passages above MaxP",
      paper: "the card's pilot + .038, required + .02",
      value: (of) => of.top4.mrr - of.MaxP.mrr,
      atLeast: 0.02,
    },
    {
      claim: "MaxP above SumP",
      paper: "the card's pilot + .18, required + .10",
      value: (of) => of.MaxP.mrr - of.SumP.mrr,
      atLeast: 0.1,
    },
  ],
  report: {
    "best window, a gold word": (of) => of.window.any,
    "gold words: first": (of) => of.first.gold,
    "gold words: random blocks": (of) => of.random.gold,
    "gold words: best window": (of) => of.window.gold,
    "gold words: key blocks": (of) => of.key.gold,
    "share of gold: first": (of) => of.first.share,
    "share of gold: random blocks": (of) => of.random.share,
    "share of gold: best window": (of) => of.window.share,
    "share of gold: key blocks": (of) => of.key.share,
    "MRR@10: whole document": (of) => of.whole.mrr,
    "MRR@10: FirstP": (of) => of.FirstP.mrr,
    "MRR@10: MaxP": (of) => of.MaxP.mrr,
    "MRR@10: SumP": (of) => of.SumP.mrr,
    "MRR@10: best four": (of) => of.top4.mrr,
    "MRR@10: whole and MaxP": (of) => of.both.mrr,
  },
  pictures: [
    {
      kind: "bars",
      title: "Questions with a gold word among the 441 that are read",
      bars: {
        first: (of) => of.first.any,
        random: (of) => of.random.any,
        "best window": (of) => of.window.any,
        "key blocks": (of) => of.key.any,
      },
    },
  ],
});
