// Inverse cloze and its kin: a tower that has asked passages for their own sentences finds passages for questions.
import { Bm25Index, memoryDocuments, tokenizeDocuments, trainWordLevel, uniformEncoder } from "cloze";
import {
  cosines,
  defineRecipe,
  fitHybrid,
  hybridScores,
  pretrainArm,
  questionArticles,
  recallAt,
  tuneRetriever,
} from "cloze/recipes";

const [queryLength, passageLength] = [32, 96];

export default defineRecipe({
  paper: "ict-bfs-wlp",
  title: "Pre-training tasks for embedding-based large-scale retrieval",
  source: "arXiv 2002.03932",
  parts: [
    "objectives/retrieval-pairs.ts",
    "objectives/pairs/retrieval-pairs.ts",
    "objectives/sampled-softmax.ts",
    "training/pretrain-retriever.ts",
  ],
  about:
    "A retriever of two towers needs pre-training that looks like retrieval: sentences that ask for the rest of their passage (ICT) or for another passage of the article (BFS). Paragraphs of SQuAD's 48 dev articles (made articles where these are not at hand) are both the text and the candidates, which is fair for a closed collection; 441 questions of other articles fine-tune a tower of 2 x 64, and the questions of the evaluation's articles are the test. BM25 stays ahead at this size, so only a hybrid is held against it.",
  arms: {
    none: { objective: null },
    MLM: { objective: { type: "masked-language" } },
    ICT: { objective: { type: "ict", queryLength, passageLength } },
    "ICT and BFS": { objective: { type: "ict-bfs-wlp", wlp: 0, queryLength, passageLength } },
  },
  data({ seed, progress }) {
    const made = questionArticles(seed);
    progress.note(`${made.source}: ${made.paragraphs.length} paragraphs, ${made.test.length} questions in the test`);
    const texts = [...made.paragraphs, ...made.train.map(({ question }) => question)];
    const vocabulary = trainWordLevel(texts, { vocabularySize: 6000 });
    const ids = (text: string) => Int32Array.from(vocabulary.encodeIds(text, { addSpecialTokens: false }));
    const ask = (items: typeof made.train) =>
      items.map(({ question, paragraph }) => ({ question: ids(question), paragraph }));
    const bm25 = new Bm25Index(made.paragraphs);
    return {
      vocabulary,
      // Titles are left out: they would tell articles apart without a word of the passage.
      articles: memoryDocuments(
        tokenizeDocuments(
          made.articles.map(({ sections }) => ({ sections })),
          vocabulary,
          { sentence: 1, paragraph: 1, document: 1 },
        ),
      ),
      passages: made.paragraphs.map(ids),
      train: ask(made.train),
      fit: ask(made.fit),
      test: ask(made.test),
      lexical: {
        fit: made.fit.map(({ question }) => bm25.scores(question)),
        test: made.test.map(({ question }) => bm25.scores(question)),
      },
    };
  },
  async run({ objective }, { vocabulary, articles, passages, train, fit, test, lexical }, { seed, scaled }) {
    const encoder = uniformEncoder({
      vocabularySize: vocabulary.vocabularySize,
      hiddenSize: 64,
      layers: 2,
      heads: 4,
      maxPositions: passageLength,
      dropout: 0,
    });
    // Masked words read the same passages, a paragraph a sequence.
    const sequences = passages.filter(({ length }) => length > 0);
    const store = {
      count: sequences.length,
      tokens: sequences.reduce((sum, { length }) => sum + length, 0),
      length: (i: number) => sequences[i].length,
      sequence: (i: number) => sequences[i],
      close() {},
    };
    const { model } = await pretrainArm({
      encoder,
      corpus: objective?.type === "masked-language" ? store : articles,
      vocabulary,
      objective,
      seed,
      learningRate: 1e-3,
      batchTokens: 7000,
      maxLength: passageLength,
      steps: scaled(500),
    });
    const how = { vocabulary, queryLength, passageLength };
    const questions = test.map(({ question }) => question);
    const zeroShot = recallAt(cosines(model, questions, passages, how), test, [1, 10, 100]);
    await tuneRetriever(model, train, passages, { ...how, seed, steps: scaled(100), batchSize: 64 });
    // Passages are read once for both kinds of questions.
    const asked = [...questions, ...fit.map(({ question }) => question)];
    const all = cosines(model, asked, passages, how);
    const [dense, denseToFit] = [all.slice(0, questions.length), all.slice(questions.length)];
    const tuned = recallAt(dense, test, [1, 10, 100]);
    const share = fitHybrid(lexical.fit, denseToFit, fit);
    model.dispose();
    return {
      "zero-shot R@1": zeroShot[0],
      "zero-shot R@10": zeroShot[1],
      "zero-shot R@100": zeroShot[2],
      "R@1": tuned[0],
      "R@10": tuned[1],
      "R@100": tuned[2],
      "BM25 R@10": recallAt(lexical.test, test, [10])[0],
      "hybrid R@10": recallAt(hybridScores(lexical.test, dense, share), test, [10])[0],
      "dense share": share,
    };
  },
  bounds: [
    {
      claim: "after fine-tuning, R@10 with ICT as a multiple of that without pre-training",
      paper: "the card's .531 and .114",
      value: (of) => of.ICT["R@10"] / of.none["R@10"],
      atLeast: 3,
      digits: 2,
    },
    {
      claim: "and of that with masked words, same steps",
      paper: "the card's .531 and .073",
      value: (of) => of.ICT["R@10"] / of.MLM["R@10"],
      atLeast: 3,
      digits: 2,
    },
    {
      claim: "zero-shot R@100 with ICT as a multiple of that without",
      paper: "the card's .789 and .190",
      value: (of) => of.ICT["zero-shot R@100"] / of.none["zero-shot R@100"],
      atLeast: 3,
      digits: 2,
    },
    {
      claim: "BM25 with ICT beside it, fitted on questions of the training's articles, is no worse than BM25 (R@10)",
      paper: "not worse",
      value: (of) => of.ICT["hybrid R@10"] - of.ICT["BM25 R@10"],
      atLeast: 0,
    },
  ],
  report: {
    "R@10 tuned: none": (of) => of.none["R@10"],
    MLM: (of) => of.MLM["R@10"],
    ICT: (of) => of.ICT["R@10"],
    "ICT and BFS": (of) => of["ICT and BFS"]["R@10"],
    BM25: (of) => of.ICT["BM25 R@10"],
    hybrid: (of) => of.ICT["hybrid R@10"],
  },
  pictures: [
    {
      kind: "bars",
      title: "Passages found among the first ten, after fine-tuning",
      bars: {
        none: (of) => of.none["R@10"],
        MLM: (of) => of.MLM["R@10"],
        ICT: (of) => of.ICT["R@10"],
        "ICT and BFS": (of) => of["ICT and BFS"]["R@10"],
        BM25: (of) => of.ICT["BM25 R@10"],
        "BM25 with ICT": (of) => of.ICT["hybrid R@10"],
      },
    },
  ],
  notes: [
    "BM25 finds .951 here (the card's .938), and the share that fits the training's articles best is a twentieth for ICT, the least that is tried: the test's 1,738 questions then lose one of what BM25 found (seed 1). With nothing for ICT the bound would hold, and say nothing.",
  ],
});
