// The moral direction: do sentence vectors of verbs differ most in whether one should do them?
import {
  type Axis,
  answerBias,
  createEmbedder,
  createFilter,
  fitDirection,
  generate,
  loadEmbedder,
  type Model,
  memoryStore,
  moral,
  moralDirection,
  moralTemplates,
  pearsonCorrelation,
  rocAuc,
  uniformEncoder,
  withDirection,
} from "cloze";
import {
  defineRecipe,
  type Measures,
  pretrainArm,
  randomOrder,
  randomSource,
  sharedModel,
  sharedTable,
  type VerbPolarity,
  verbPolarity,
} from "cloze/recipes";

const steps = 1500;
const batch = 128;
/** Of so many sentences: 8.1 tokens on average, special ones included. */
const batchTokens = 1040;
const decoderSteps = 300;
const texts = 200;
/** Seeds of each end. */
const seedVerbs = 20;
/** The card's masking: every chosen token becomes [MASK]. */
const masking = { type: "masked-language", rate: 0.2, maskShare: 1, randomShare: 0 };
const realEncoder = sharedModel("all-MiniLM-L6-v2");

interface Arm {
  /** Trained on the made language, or a sentence encoder of ../shared. */
  readonly encoder: "made" | "real";
  readonly steps: number;
}

const encoderOf = ({ vocabularySize }: VerbPolarity["tokenizer"]) =>
  uniformEncoder({
    vocabularySize,
    hiddenSize: 64,
    layers: 2,
    heads: 4,
    maxPositions: 16,
    normPosition: "pre",
    dropout: 0,
    initializerRange: 0.02,
  });

/** Where scores lie against known ends. */
const separation = (scores: Float64Array, ends: readonly number[]) => ({
  r: pearsonCorrelation(ends, scores),
  auc: rocAuc(
    ends.map((end) => Number(end > 0)),
    scores,
  ),
});

/** Share of approved verbs among texts of a decoder that go on with a question by one word. */
function approvedShare(decoder: Model, language: VerbPolarity, seed: number, axis?: Axis): number {
  const { tokenizer, verbs, polarity } = language;
  const filters = axis === undefined ? [] : [createFilter({ type: "axis-filter", axis, threshold: 0, keepMin: 5 })];
  let approved = 0;
  for (let i = 0; i < texts; i++) {
    const how = { maxNewTokens: 1, topK: 50, seed: seed * 1000 + i, filters };
    const word = generate(decoder, tokenizer, "should i", how).continuation.trim();
    approved += Number(polarity[verbs.indexOf(word)] === 1);
  }
  return approved / texts;
}

/** A sentence encoder against what people said of 116 actions. */
function userStudy(path: string): Measures {
  const rows = sharedTable("mort_moral/user_study.tsv");
  const asked = new Map(
    sharedTable("mort_moral/user_study_questions.tsv").map((row) => [row.action, row.question_template]),
  );
  const actions = rows.map(({ action }) => action);
  const people = rows.map(({ score }) => Number(score));
  const embedder = loadEmbedder(path);
  const axis = fitDirection(embedder, moralDirection);
  const r = (scores: Float64Array): number => pearsonCorrelation(people, scores);
  const question = actions.map((action) => `${asked.get(action)} {}?`);
  const ends = [...moral.high, ...moral.low];
  const measures = {
    r: r(axis.score(actions)),
    "r, raw": r(axis.score(actions, { form: "raw", question })),
    "r, without question": r(axis.score(actions, { form: "without-question" })),
    "r, cosine": r(answerBias(embedder, actions, moralTemplates)),
    "seeds' auc": separation(
      axis.score(ends),
      ends.map((_, i) => (i < moral.high.length ? 1 : -1)),
    ).auc,
    first: axis.explainedVariance[0],
    second: axis.explainedVariance[1],
  };
  embedder.dispose();
  return measures;
}

export default defineRecipe({
  paper: "moral-direction",
  title: "Large pre-trained language models contain human-like biases of what is right and wrong to do",
  source: "arXiv 2103.11790",
  parts: ["embedding/axis/", "generation/filters/axis-filter.ts"],
  about:
    'The first principal component of the sentence vectors of some verbs, without labels, tells what the training text says one should do; it measures agreement with norms in that text, not ethics. Here a made language: 200 verbs, half of them approved of, 30 nouns; 60 % of the sentences say so of a verb (15 % of these wrongly), the rest are questions. A masked language model (2 layers, 64 wide) is trained on it; the axis is fitted on 20 verbs of each kind in three questions and scores the 160 others. Then a small decoder of the same language goes on with "should i" by a verb, with the axis as a filter. Where ../shared is at hand, a real sentence encoder (all-MiniLM-L6-v2) scores the 116 actions of the paper\'s user study.',
  arms: {
    "first weights": { encoder: "made", steps: 0 },
    "600 steps": { encoder: "made", steps: 600 },
    "1,500 steps": { encoder: "made", steps },
    ...(realEncoder === undefined ? {} : { "sentence encoder": { encoder: "real", steps: 0 } }),
  } as Record<string, Arm>,
  differ: "steps; and a sentence encoder on real text beside the made language",
  async data({ seed, scaled }) {
    const language = verbPolarity(seed);
    const { tokenizer } = language;
    const corpus = memoryStore(language.sentences(scaled(steps) * batch, 1));
    const { model: decoder } = await pretrainArm({
      encoder: withDirection(encoderOf(tokenizer), "causal"),
      corpus,
      vocabulary: tokenizer,
      objective: { type: "causal-language" },
      steps: scaled(decoderSteps),
      learningRate: 2e-3,
      batchTokens,
      seed,
    });
    return { language, corpus, decoder };
  },
  async run(arm, { language, corpus, decoder }, { seed, scaled }): Promise<Measures> {
    if (arm.encoder === "real") return userStudy(realEncoder as string);
    const { tokenizer, verbs, polarity, questions } = language;
    const { model, loss, seconds } = await pretrainArm({
      encoder: encoderOf(tokenizer),
      corpus,
      vocabulary: tokenizer,
      objective: arm.steps === 0 ? null : masking,
      steps: scaled(arm.steps),
      learningRate: 2e-3,
      batchTokens,
      seed,
    });
    const embedder = createEmbedder(model, tokenizer);
    const order = Array.from(randomOrder(verbs.length, randomSource(seed, 3)));
    const of = (sign: number) => order.filter((i) => polarity[i] === sign);
    const [high, low] = [of(1), of(-1)];
    const phrases = [...high.slice(0, seedVerbs), ...low.slice(0, seedVerbs)].map((i) => verbs[i]);
    const axis = fitDirection(embedder, { phrases, templates: questions, orientBy: verbs[low[0]] });
    const others = [...high.slice(seedVerbs), ...low.slice(seedVerbs)];
    const measures = {
      ...separation(
        axis.score(others.map((i) => verbs[i])),
        others.map((i) => polarity[i]),
      ),
      first: axis.explainedVariance[0],
      second: axis.explainedVariance[1],
      "approved, plain": approvedShare(decoder, language, seed),
      "approved, filtered": approvedShare(decoder, language, seed, axis),
      loss,
      seconds,
    };
    embedder.dispose();
    return measures;
  },
  bounds: [
    {
      claim: "1,500 steps: scores of 160 verbs and their polarity, Pearson's r",
      paper: "the card's pilot .95, required .6",
      value: (of) => of["1,500 steps"].r,
      atLeast: 0.6,
    },
    {
      claim: "1,500 steps: area under the curve",
      paper: "the card's pilot 1.00, required .9",
      value: (of) => of["1,500 steps"].auc,
      atLeast: 0.9,
    },
    {
      claim: "1,500 steps: variance of the first component over the second's",
      paper: "BERT 3.2, USE 1.5; the card's pilot 12, required 1.5",
      value: (of) => of["1,500 steps"].first / of["1,500 steps"].second,
      atLeast: 1.5,
      digits: 1,
    },
    {
      claim: "1,500 steps: r above that of first weights",
      paper: "the card's pilot + .98, required + .4",
      value: (of) => of["1,500 steps"].r - of["first weights"].r,
      atLeast: 0.4,
    },
    ...(realEncoder === undefined
      ? []
      : [
          {
            claim: "all-MiniLM-L6-v2 and the user study (116 actions), r",
            paper: "BERT-large fine-tuned on NLI .835; the card requires .5",
            value: (of: Readonly<Record<string, Measures>>) => of["sentence encoder"].r,
            atLeast: 0.5,
          },
          {
            claim: "the same above the cosine baseline",
            paper: ".835 and .71; the card requires more than 0",
            value: (of: Readonly<Record<string, Measures>>) =>
              of["sentence encoder"].r - of["sentence encoder"]["r, cosine"],
            atLeast: 0.001,
          },
        ]),
  ],
  report: {
    "r: first weights": (of) => of["first weights"].r,
    "r: 600 steps": (of) => of["600 steps"].r,
    "AUC: 600 steps": (of) => of["600 steps"].auc,
    "variance of the first component: first weights": (of) => of["first weights"].first,
    "variance of the first component: 600 steps": (of) => of["600 steps"].first,
    "variance of the first component: 1,500 steps": (of) => of["1,500 steps"].first,
    "approved verbs from the decoder: without a filter": (of) => of["1,500 steps"]["approved, plain"],
    "approved verbs: axis of 600 steps": (of) => of["600 steps"]["approved, filtered"],
    "approved verbs: axis of 1,500 steps": (of) => of["1,500 steps"]["approved, filtered"],
    ...(realEncoder === undefined
      ? {}
      : {
          "user study, r: cosine baseline": (of: Readonly<Record<string, Measures>>) =>
            of["sentence encoder"]["r, cosine"],
          "user study, r: one question": (of: Readonly<Record<string, Measures>>) => of["sentence encoder"]["r, raw"],
          "user study, r: without question": (of: Readonly<Record<string, Measures>>) =>
            of["sentence encoder"]["r, without question"],
          "seed verbs, AUC": (of: Readonly<Record<string, Measures>>) => of["sentence encoder"]["seeds' auc"],
        }),
  },
  notes: [
    "What decides is how weights begin and what masked tokens become. With a first deviation of .1 (as in other recipes of this width) and BERT's 80/10/10 the model had learned nothing of polarity after 1,500 steps (r -.23 on seed 1: 2 of 6 bounds). On the data of seed 101 then: a deviation of .02 gave r .98 after 1,500 steps with variances of .29 and .14, and with every chosen token hidden .95 after 600 (.78 and .11); that was kept.",
    'The filter\'s rows have no number in the paper: a text here is "should i" and a verb, drawn from the 50 likeliest of 200.',
  ],
  pictures: [
    {
      kind: "bars",
      title: "Pearson's r of scores with what is approved of",
      bars: {
        "first weights": (of) => of["first weights"].r,
        "600 steps": (of) => of["600 steps"].r,
        "1,500 steps": (of) => of["1,500 steps"].r,
      },
    },
  ],
});
