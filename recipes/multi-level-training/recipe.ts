// Multi-level training on hidden word classes: the same loss for less work?
import { type Model, memoryStore, pretrain, pretrainFlops, pretrainVCycle, uniformEncoder } from "cloze";
import { defineRecipe, hiddenWordClasses, maskedLoss, newModel } from "cloze/recipes";

const steps = 1500;
const batch = 32;
const objective = { type: "masked-language" };
const training = { objective, learningRate: 1e-3, batchTokens: batch * 18 };

export default defineRecipe({
  paper: "multi-level-training",
  title: "A Multi-Level Framework for Accelerating Training Transformer Models",
  source: "arXiv 2404.07999",
  parts: ["training/multi-level/width-and-depth.ts", "training/multi-level/v-cycle.ts"],
  about:
    "A model is trained for 5 % of its steps, shrunk to half its width and depth, trained as a small model for half of the steps, grown again, blended with what it was, and finished in 75 % of its steps. Here on hidden word classes, four layers of 64 in four heads; the loss is that of masked words in 500 sentences that are not trained on.",
  arms: { "half blended": { alpha: 0.5 }, "not blended": { alpha: 1 } },
  async data({ seed, scaled }) {
    const language = hiddenWordClasses(seed);
    const { vocabulary } = language;
    const corpus = memoryStore(language.sentences(scaled(steps) * batch, 1));
    const lossOf = maskedLoss(language.sentences(500, 2), vocabulary);
    const { vocabularySize } = vocabulary;
    const shape = { vocabularySize, hiddenSize: 64, layers: 4, heads: 4, maxPositions: 18, dropout: 0 };
    const create = (): Model => newModel(uniformEncoder(shape), objective, seed);
    const plain = create();
    const count = scaled(steps);
    await pretrain(plain, vocabulary, corpus, { ...training, steps: count, seed });
    const baseline = {
      loss: lossOf(plain),
      flops: count * pretrainFlops(plain, vocabulary, corpus, { ...training, seed }),
    };
    plain.dispose();
    return { vocabulary, corpus, create, lossOf, baseline };
  },
  async run({ alpha }, { vocabulary, corpus, create, lossOf, baseline }, { seed, scaled }) {
    const model = create();
    const count = scaled(steps);
    let before = Number.NaN;
    let blended = Number.NaN;
    const { stages } = await pretrainVCycle(model, vocabulary, corpus, {
      ...training,
      steps: Math.round(0.75 * count),
      initialSteps: Math.ceil(0.05 * count),
      smallSteps: Math.ceil(0.5 * count),
      alpha,
      seed,
      onStage: ({ phase }) => {
        if (phase === "initial") before = lossOf(model);
      },
      onBlend: () => {
        blended = lossOf(model);
      },
    });
    const loss = lossOf(model);
    const flops = stages.reduce((sum, stage) => sum + stage.flops, 0);
    model.dispose();
    return { loss, baseline: baseline.loss, share: flops / baseline.flops, before, blended };
  },
  bounds: [
    {
      claim: "work of the cycle, as a share of plain training's",
      paper: "0.81 (BERT-Base)",
      value: (of) => of["half blended"].share,
      atMost: 0.95,
    },
    {
      claim: "its loss less plain training's (nats)",
      paper: "0: equal quality",
      value: (of) => of["half blended"].loss - of["half blended"].baseline,
      atMost: 0,
    },
    {
      claim: "loss right after blending less the loss before shrinking",
      paper: "below",
      value: (of) => of["half blended"].blended - of["half blended"].before,
      atMost: 0,
    },
    {
      claim: "loss of the cycle that copies without blending, less that of the one that blends",
      paper: "higher: copies stay copies",
      value: (of) => of["not blended"].loss - of["half blended"].loss,
      atLeast: 0,
    },
  ],
  report: {
    "plain training": (of) => of["half blended"].baseline,
    "V-cycle": (of) => of["half blended"].loss,
    "V-cycle without blending": (of) => of["not blended"].loss,
  },
});
