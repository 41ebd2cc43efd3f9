// MP3 on shifted grids: does an encoder learn where tokens stand from their contents alone?
import { noVocabulary, uniformEncoder } from "cloze";
import {
  type ArmMeasures,
  defineRecipe,
  positionAccuracy,
  pretrainArm,
  shiftedGridLayout,
  shiftedGrids,
} from "cloze/recipes";

const steps = 1500;
const batch = 64;
const cells = 36;
/** Tokens that are looked at when it is asked; it is trained with the third. */
const contexts = [36, 27, 18, 9, 4, 2, 1] as const;
const encoder = uniformEncoder({
  vocabularySize: 0,
  segmentVocabularySize: 0,
  hiddenSize: 48,
  layers: 3,
  heads: 3,
  maxPositions: cells,
  normPosition: "pre",
  dropout: 0,
  initializerRange: 0.1,
  embeddings: { type: "patches", ...shiftedGridLayout(), positions: "none" },
});
/** The same channels on each token by itself. */
const alone = { ...encoder, layers: encoder.layers.map((layer) => ({ ...layer, mixer: { type: "none" as const } })) };

const named = (size: number): string => `context of ${size}`;
const asked = 18;

export default defineRecipe({
  paper: "mp3",
  title: "MP3: position prediction as an effective pretraining strategy",
  source: "arXiv 2207.07611",
  parts: ["objectives/position-prediction.ts", "encoder/mixers/context-attention.ts", "training/change-positions.ts"],
  about:
    "An encoder that is told no positions says of every token where it stood, and in each layer tokens look at a random half of them alone; its head is one matrix. Here pictures of 6 x 6 cells whose coordinates are moved and stretched by numbers that differ from picture to picture, so that a cell has to be compared with others. Trained with 18 of 36 cells in the context; on 512 other pictures it is asked with contexts of all sizes. Beside it the same layers without attention, for which each token stands alone. Chance is 0.028.",
  arms: { mp3: { encoder }, "each token alone": { encoder: alone } },
  data({ seed, scaled }) {
    return { train: shiftedGrids(seed, scaled(steps) * batch), test: shiftedGrids(seed, 512, { stream: 1 }) };
  },
  async run({ encoder: config }, { train, test }, { seed, scaled }) {
    const accuracies: Record<string, number> = {};
    const { model, loss, seconds } = await pretrainArm({
      encoder: config,
      corpus: train,
      vocabulary: noVocabulary,
      objective: { type: "position-prediction", maskRatio: 0.5 },
      seed,
      learningRate: 2e-3,
      batchTokens: batch * cells,
      steps: scaled(steps),
      inspect: (objective, trained) => {
        for (const size of contexts) accuracies[named(size)] = positionAccuracy(objective, trained, test, size);
      },
    });
    model.dispose();
    return { ...accuracies, loss, seconds };
  },
  bounds: [
    {
      claim: "accuracy of positions with the context that it was trained with, 18 of 36 tokens",
      paper: "the card's .99, and .8 asked for",
      value: (of) => of.mp3[named(asked)],
      atLeast: 0.8,
    },
    {
      claim: "times the accuracy of the same layers on each token alone",
      paper: "the card's .99 / .09, and 5 asked for",
      value: (of) => of.mp3[named(asked)] / of["each token alone"][named(asked)],
      atLeast: 5,
      digits: 1,
    },
    {
      claim: "the largest gain where fewer tokens are looked at, from 36 to 27, 18, 9, 4, 2 and 1: there is none",
      paper: "the card's accuracies fall throughout",
      value: ({ mp3 }) => Math.max(...contexts.slice(1).map((size, i) => mp3[named(size)] - mp3[named(contexts[i])])),
      atMost: 0,
    },
  ],
  report: Object.fromEntries([
    ...contexts.map((size) => [
      `positions, ${size} looked at`,
      (of: ArmMeasures<"mp3" | "each token alone">) => of.mp3[named(size)],
    ]),
    [
      "positions, each token alone",
      (of: ArmMeasures<"mp3" | "each token alone">) => of["each token alone"][named(asked)],
    ],
  ]),
  pictures: [
    {
      kind: "curves",
      title: "Tokens whose place is found, by how many are looked at",
      x: "tokens in the context",
      curves: {
        mp3: ({ mp3 }) => contexts.map((size) => [size, mp3[named(size)]] as const).reverse(),
        "each token alone": (of) =>
          contexts.map((size) => [size, of["each token alone"][named(size)]] as const).reverse(),
      },
    },
  ],
});
