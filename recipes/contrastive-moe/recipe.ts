// Contrastive learning and mixture of experts: one embedder for fields in which "alike" means different things.
import {
  binaryPairEvaluator,
  createEmbedder,
  createModel,
  type Embedder,
  type EmbeddingEvaluator,
  extendWithExperts,
  type LossConfig,
  trainEmbedder,
  trainWordLevel,
  uniformEncoder,
} from "cloze";
import { aspectTexts, defineRecipe } from "cloze/recipes";

const batchSize = 32;
/** For each field; models of all fields take as many times more. */
const steps = 300;
const testPairs = 600;
const cosine: LossConfig = { type: "multiple-negatives", scale: 20 };

interface Arm {
  /** A model of its own for each field, or one for all. */
  readonly models: "each" | "one";
  /** A token for the field stands first. */
  readonly tokens: boolean;
  /** Layers whose channel is an expert for each field. */
  readonly experts: "all" | readonly number[];
  readonly batches?: "mixed" | "in-turn";
  readonly loss?: LossConfig;
}

const shared: Arm = { models: "one", tokens: true, experts: [] };
const experts: Arm = { models: "one", tokens: true, experts: "all" };

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Scores of the model while it is trained: the evaluator of every half. */
function halves(evaluators: readonly EmbeddingEvaluator[]) {
  const scores: number[] = [];
  const evaluator: EmbeddingEvaluator = {
    name: "fields",
    headline: "f1Max",
    async evaluate(embedder) {
      const each = [];
      for (const one of evaluators) each.push((await one.evaluate(embedder)).f1Max);
      scores.push(mean(each));
      // The last weights are the result, whatever they score.
      return { f1Max: scores.length };
    },
  };
  return { scores, evaluator };
}

export default defineRecipe({
  paper: "contrastive-moe",
  title: "Contrastive Learning and Mixture of Experts Enables Precise Vector Embeddings",
  source: "arXiv 2401.15713",
  parts: [
    "encoder/channels/experts.ts",
    "embedding/extend-experts.ts",
    "training/extend-experts.ts",
    "embedding/mining/cocitation.ts",
    "embedding/losses/multiple-negatives-plus.ts",
    "objectives/router-losses.ts",
  ],
  about:
    "Papers that a third one cites together are alike, and what that means differs by field. Every MLP of an encoder is cloned into an expert for each field, and a text goes to its field's (its token stands in place of [CLS]). Here on made texts with a topic of each of three aspects: in field k two texts are alike when aspect k agrees, and those that are not share another aspect. 2 layers, 64 wide, from nothing, batches of 32; the largest F1 over thresholds on 600 balanced pairs a field, where a model that knows nothing has .667.",
  arms: {
    "a model for each field": { models: "each", tokens: false, experts: [] },
    "shared, without field": { models: "one", tokens: false, experts: [] },
    shared,
    experts,
    "experts, without token": { ...experts, tokens: false },
    "experts in layer 0": { ...experts, experts: [0] },
    "experts in layer 1": { ...experts, experts: [1] },
    "shared, fields in turn": { ...shared, batches: "in-turn" },
    "experts, fields in turn": { ...experts, batches: "in-turn" },
    "experts, mnr+ on dot products": {
      ...experts,
      loss: { type: "multiple-negatives-plus", similarity: "dot", scale: 1 },
    },
  } satisfies Record<string, Arm>,
  differ:
    "how a model is told the field, where experts stand, how batches are made and what is learnt are compared apart",
  data({ seed, scaled }) {
    const language = aspectTexts(seed);
    const fields = Array.from({ length: language.aspects }, (_, k) => `[FIELD${k}]`);
    return {
      fields,
      tokenizer: trainWordLevel(language.vocabulary, { vocabularySize: 10_000 }),
      train: fields.map((_, k) => language.cited(k, scaled(steps) * batchSize)),
      test: fields.map((_, k) => language.test(k, testPairs)),
    };
  },
  async run(arm: Arm, { fields, tokenizer, train, test }, { seed, scaled }) {
    const create = (): Embedder => {
      const config = uniformEncoder({
        vocabularySize: tokenizer.vocabularySize,
        hiddenSize: 64,
        layers: 2,
        heads: 4,
        maxPositions: 32,
        dropout: 0,
        initializerRange: 0.07,
      });
      const model = createModel({ architecture: "Model", config, head: { type: "none" }, seed });
      return createEmbedder(model, tokenizer, { maxLength: 32, normalize: false });
    };
    const toldField = arm.tokens || arm.experts === "all" || arm.experts.length > 0;
    const evaluatorOf = (k: number) =>
      binaryPairEvaluator(test[k].map((pair) => (toldField ? { ...pair, field: fields[k] } : pair)));
    const learn = async (embedder: Embedder, learnt: readonly number[]) => {
      const { scores, evaluator } = halves(learnt.map(evaluatorOf));
      const rows = learnt.flatMap((k) => train[k].map((pair) => (toldField ? { ...pair, field: fields[k] } : pair)));
      const total = scaled(steps) * learnt.length;
      const { seconds } = await trainEmbedder(embedder, rows, {
        loss: arm.loss ?? cosine,
        fieldBatches: arm.batches,
        steps: total,
        batchSize,
        learningRate: 2e-3,
        schedule: () => 1,
        seed,
        dev: evaluator,
        evaluateEvery: Math.floor(total / 2),
      });
      return { half: scores[0], f1Max: scores[scores.length - 1], seconds };
    };
    if (arm.models === "each") {
      const results: { half: number; f1Max: number; seconds: number; otherF1: number; otherAuc: number }[] = [];
      for (const k of fields.keys()) {
        const embedder = create();
        const own = await learn(embedder, [k]);
        const others = [];
        for (const other of fields.keys()) if (other !== k) others.push(await evaluatorOf(other).evaluate(embedder));
        embedder.dispose();
        results.push({
          ...own,
          otherF1: mean(others.map(({ f1Max }) => f1Max)),
          otherAuc: mean(others.map(({ rocAuc }) => rocAuc)),
        });
      }
      const over = (name: "half" | "f1Max" | "otherF1" | "otherAuc") => mean(results.map((result) => result[name]));
      return {
        half: over("half"),
        f1Max: over("f1Max"),
        otherF1: over("otherF1"),
        otherAuc: over("otherAuc"),
        seconds: results.reduce((sum, { seconds }) => sum + seconds, 0),
      };
    }
    const dense = create();
    const embedder = toldField
      ? extendWithExperts(dense, { fields, layers: arm.experts, fieldTokens: arm.tokens, seed })
      : dense;
    const result = await learn(embedder, [...fields.keys()]);
    embedder.dispose();
    if (embedder !== dense) dense.dispose();
    return result;
  },
  bounds: [
    {
      claim: "a model for each field, on its own field",
      paper: "the card's pilot .999, required .97",
      value: (of) => of["a model for each field"].f1Max,
      atLeast: 0.97,
    },
    {
      claim: "the same on the other fields",
      paper: "the card's pilot .667, at most .70",
      value: (of) => of["a model for each field"].otherF1,
      atMost: 0.7,
    },
    {
      claim: "one model that is not told the field",
      paper: "the card's pilot .667, at most .70",
      value: (of) => of["shared, without field"].f1Max,
      atMost: 0.7,
    },
    {
      claim: "half of the steps: experts above the shared model with field tokens",
      paper: "the card's pilot + .06 and + .08, required + .03",
      value: (of) => of.experts.half - of.shared.half,
      atLeast: 0.03,
    },
    {
      claim: "half of the steps: experts against a model for each field",
      paper: "the card's pilot - .04, required - .07",
      value: (of) => of.experts.half - of["a model for each field"].half,
      atLeast: -0.07,
    },
    {
      claim: "all steps: experts",
      paper: "the card's pilot .996, required .98",
      value: (of) => of.experts.f1Max,
      atLeast: 0.98,
    },
  ],
  report: {
    "half of the steps: a model for each field": (of) => of["a model for each field"].half,
    "half: shared": (of) => of.shared.half,
    "half: experts": (of) => of.experts.half,
    "all steps: shared": (of) => of.shared.f1Max,
    "experts, without token": (of) => of["experts, without token"].f1Max,
    "experts in layer 0": (of) => of["experts in layer 0"].f1Max,
    "experts in layer 1": (of) => of["experts in layer 1"].f1Max,
    "half, fields in turn: shared": (of) => of["shared, fields in turn"].half,
    "half, fields in turn: experts": (of) => of["experts, fields in turn"].half,
    "fields in turn: shared": (of) => of["shared, fields in turn"].f1Max,
    "fields in turn: experts": (of) => of["experts, fields in turn"].f1Max,
    "mnr+ on dot products": (of) => of["experts, mnr+ on dot products"].f1Max,
    "ROC-AUC on the other fields": (of) => of["a model for each field"].otherAuc,
  },
  notes: [
    "The learning rate: a first run of seed 1 at .001 was slower than the card's pilot (at half of the steps .963 for a model for each field, .677 shared; all steps, experts .955: 4 of 6 bounds). So .002 was tried on the data of seed 101, held 6 of 6 there (experts .986 after all steps), and was kept; nothing else was tried. On seed 1 the experts end .001 below their bound.",
  ],
  pictures: [
    {
      kind: "bars",
      title: "F1 at half of the steps (.667: nothing)",
      bars: {
        each: (of) => of["a model for each field"].half,
        shared: (of) => of.shared.half,
        experts: (of) => of.experts.half,
        "shared, in turn": (of) => of["shared, fields in turn"].half,
        "experts, in turn": (of) => of["experts, fields in turn"].half,
      },
    },
  ],
});
