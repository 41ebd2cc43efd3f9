// Structural objectives: detecting or restoring random tokens on hidden word classes, and paragraphs as pairs on documents
// with topics.
import { memoryDocuments, uniformEncoder } from "cloze";
import {
  copyOfEncoder,
  defineRecipe,
  hiddenWordTask,
  type Measures,
  pairAccuracy,
  pretrainArm,
  randomSource,
  sameParagraphPairs,
  stepMilliseconds,
  substitutionErrors,
  tokenAccuracy,
  topicDocuments,
  wordEncoder,
} from "cloze/recipes";

type Objective = { type: string; [option: string]: unknown } | null;
interface Arm {
  bench: "words" | "paragraphs" | "time";
  objective: Objective;
  steps: number;
  /** Before the objective, for as many steps: clusters are made of embeddings that mean something. */
  first?: Exclude<Objective, null>;
}

const mlm = { type: "masked-language" };
const wordsBatch = 32;

export default defineRecipe({
  paper: "structural-objectives",
  title: "Structural self-supervised objectives for transformers",
  source: "arXiv 2309.08272",
  parts: [
    "objectives/random-token-substitution.ts",
    "objectives/clusters.ts",
    "objectives/paragraph-structure.ts",
    "objectives/pairs/",
  ],
  about:
    'Detecting random substitutes (RTS), substitutes from clusters with which the detector is often wrong (C-RTS), and restoring them (SLM) instead of [MASK]; and continued pre-training that asks whether two spans stand in one paragraph (SSP). Word objectives on hidden word classes (chance 0.125); SSP on made documents whose paragraphs have a topic each, fine-tuned with 200 pairs for "same paragraph?", half of the negatives from the same document. Time: a step of a 2 x 64 encoder with a vocabulary of 8,192, both heads on every position.',
  arms: {
    scratch: { bench: "words", objective: null, steps: 0 },
    MLM: { bench: "words", objective: mlm, steps: 1200 },
    SLM: { bench: "words", objective: { type: "slm" }, steps: 1200 },
    RTS: { bench: "words", objective: { type: "rts" }, first: { type: "rts" }, steps: 1500 },
    "C-RTS": { bench: "words", objective: { type: "c-rts", clusters: 8 }, first: { type: "rts" }, steps: 1500 },
    "documents, MLM": { bench: "paragraphs", objective: null, steps: 400 },
    "documents, MLM then SSP": { bench: "paragraphs", objective: { type: "ssp", secondSentences: 1 }, steps: 400 },
    "time, MLM": { bench: "time", objective: { type: "masked-language", rate: 0.999 }, steps: 0 },
    "time, RTS": { bench: "time", objective: { type: "rts" }, steps: 0 },
  } as Record<string, Arm>,
  differ:
    "three benches, each with its own baseline; inside a bench the objective differs (and RTS has more steps, as its card says; clusters are made of the embeddings after half of them)",
  data({ seed, scaled }) {
    const topics = topicDocuments(seed);
    const held = memoryDocuments(topics.documents(1200, 2));
    const pairs = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => {
        const options = { secondSentences: 1, hardNegatives: i % 2, negatives: 1 };
        return sameParagraphPairs(held, from + i, randomSource(seed, from + i), options).slice(0, 2);
      }).flat();
    return {
      ...hiddenWordTask(seed, scaled(3000) * wordsBatch),
      topics,
      documents: memoryDocuments(topics.documents(3000, 1)),
      // Balanced: a positive and a negative of each document; every second negative is a hard one.
      pairs: pairs(0, 100),
      manyPairs: pairs(0, 700),
      testPairs: pairs(700, 500),
    };
  },
  async run({ bench, objective, steps, first }, data, { seed, scaled }): Promise<Measures> {
    if (bench === "time") {
      const encoder = uniformEncoder({ vocabularySize: 8192, hiddenSize: 64, layers: 2, heads: 4, maxPositions: 64 });
      return { milliseconds: stepMilliseconds(objective ?? mlm, { encoder, sequences: 16, length: 64, seed }) };
    }
    if (bench === "words") {
      const { language, corpus, labelled, test } = data;
      const { vocabulary, classes } = language;
      const shared = {
        encoder: wordEncoder(vocabulary.vocabularySize),
        corpus,
        vocabulary,
        seed,
        learningRate: 2e-3,
        batchTokens: wordsBatch * 18,
        steps: scaled(steps),
      };
      const before = first === undefined ? undefined : (await pretrainArm({ ...shared, objective: first })).model;
      let errors = {};
      const { model } = await pretrainArm({
        ...shared,
        model: before,
        objective,
        inspect(made, trained) {
          if (made.state.size === 0) return;
          errors = substitutionErrors(trained, made, vocabulary, language.sentences(400, 9), seed);
        },
      });
      const accuracy = await tokenAccuracy(model, labelled, test, { classes, vocabulary, seed });
      model.dispose();
      return { accuracy, ...errors };
    }
    const { topics, documents, pairs, manyPairs, testPairs } = data;
    const { vocabulary } = topics;
    const maxLength = 48;
    const encoder = uniformEncoder({
      vocabularySize: vocabulary.vocabularySize,
      hiddenSize: 64,
      layers: 2,
      heads: 4,
      maxPositions: maxLength,
      dropout: 0,
      initializerRange: 0.1,
    });
    // The pairs of SSP with no question beside masked words: the same texts, the same masks.
    const plain = { type: "ssp", secondSentences: 1, structureWeight: 0 };
    const shared = { encoder, corpus: documents, vocabulary, seed, learningRate: 1e-3, batchTokens: 1024, maxLength };
    const before = await pretrainArm({ ...shared, objective: plain, steps: scaled(600) });
    const { model } = await pretrainArm({
      ...shared,
      model: before.model,
      objective: objective ?? plain,
      steps: scaled(steps),
    });
    const measure = async (labelled: typeof pairs, epochs: number) => {
      const copy = copyOfEncoder(model);
      const accuracy = await pairAccuracy(copy, labelled, testPairs, { vocabulary, seed, maxLength, epochs });
      copy.dispose();
      return accuracy;
    };
    const measures = { accuracy: await measure(pairs, 10), "accuracy with 1400": await measure(manyPairs, 4) };
    model.dispose();
    return measures;
  },
  bounds: [
    {
      claim: "a step of RTS takes less time than one of MLM (ratio)",
      paper: "20 to 45 % less",
      value: (of) => of["time, RTS"].milliseconds / of["time, MLM"].milliseconds,
      atMost: 0.8,
    },
    {
      claim: "restoring swapped words teaches (accuracy, less that without pre-training)",
      paper: "the card's .42 against .11",
      value: (of) => of.SLM.accuracy - of.scratch.accuracy,
      atLeast: 0.2,
    },
    {
      claim: "detecting random words teaches, with more steps",
      paper: "the card's .19 against .11 after 1,200 steps",
      value: (of) => of.RTS.accuracy - of.scratch.accuracy,
      atLeast: 0.05,
    },
    {
      claim: "clustered substitutes teach as well as random ones",
      paper: "on par",
      value: (of) => of["C-RTS"].accuracy - of.RTS.accuracy,
      atLeast: -0.03,
    },
    {
      claim: "clustered substitutes are harder (ratio of the detector's errors)",
      paper: "1.1",
      value: (of) => of["C-RTS"].clustered / of["C-RTS"].uniform,
      atLeast: 1.1,
    },
    {
      claim: "SSP helps with 200 labelled pairs (accuracy, against the same steps of masked words)",
      paper: "WikiQA MAP .887 with RoBERTa",
      value: (of) => of["documents, MLM then SSP"].accuracy - of["documents, MLM"].accuracy,
      atLeast: 0.05,
    },
    {
      claim: "with seven times the labels the gap shrinks",
      paper: "it shrinks",
      value: (of) =>
        of["documents, MLM then SSP"]["accuracy with 1400"] -
        of["documents, MLM"]["accuracy with 1400"] -
        (of["documents, MLM then SSP"].accuracy - of["documents, MLM"].accuracy),
      atMost: 0,
    },
  ],
  report: {
    scratch: (of) => of.scratch.accuracy,
    MLM: (of) => of.MLM.accuracy,
    SLM: (of) => of.SLM.accuracy,
    RTS: (of) => of.RTS.accuracy,
    "C-RTS": (of) => of["C-RTS"].accuracy,
    "same paragraph, 200 pairs, MLM": (of) => of["documents, MLM"].accuracy,
    "same paragraph, 200 pairs, SSP": (of) => of["documents, MLM then SSP"].accuracy,
    "same paragraph, 1400 pairs, MLM": (of) => of["documents, MLM"]["accuracy with 1400"],
    "same paragraph, 1400 pairs, SSP": (of) => of["documents, MLM then SSP"]["accuracy with 1400"],
  },
  pictures: [
    {
      kind: "bars",
      title: "Accuracy on words whose class was never told (chance 0.125)",
      bars: {
        scratch: (of) => of.scratch.accuracy,
        MLM: (of) => of.MLM.accuracy,
        SLM: (of) => of.SLM.accuracy,
        RTS: (of) => of.RTS.accuracy,
        "C-RTS": (of) => of["C-RTS"].accuracy,
      },
    },
  ],
});
