// ELECTRA on hidden word classes: is detecting a small generator's tokens a way to learn words from their company?
import { defineRecipe, hiddenWordTask, pretrainArm, tokenAccuracy, wordEncoder } from "cloze/recipes";

const steps = 1200;
const batch = 32;
const detection = { type: "replaced-token-detection", generatorLayers: 0 };

export default defineRecipe({
  paper: "electra",
  title: "ELECTRA: pre-training text encoders as discriminators rather than generators",
  source: "arXiv 2003.10555",
  parts: ["objectives/replaced-token-detection.ts", "objectives/replaced-language.ts", "objectives/generator/"],
  about:
    "A small generator proposes tokens for 15 % of the positions; the encoder says of every token whether it was replaced, and so learns from all positions. Here on hidden word classes: words of 8 classes in chains; after pre-training, the classes of two words of each are told in 200 sentences, and those of the others are asked (chance 0.125). A generator without layers keeps the language from being solved by the generator, which would leave nothing to detect.",
  arms: {
    scratch: { objective: null },
    "masked words": { objective: { type: "masked-language", maskShare: 0.85, randomShare: 0 } },
    electra: { objective: detection },
    "chosen only": { objective: { ...detection, detect: "chosen" } },
    "two-layer generator": { objective: { ...detection, generatorLayers: 2 } },
    "replace MLM": { objective: { type: "replaced-language", generatorLayers: 0 } },
    "all-tokens MLM": { objective: { type: "all-tokens-language", generatorLayers: 0 } },
  },
  data({ seed, scaled }) {
    return hiddenWordTask(seed, scaled(steps) * batch);
  },
  async run({ objective }, { language, corpus, labelled, test }, { seed, scaled }) {
    const { vocabulary, classes } = language;
    const encoder = wordEncoder(vocabulary.vocabularySize);
    const arm = { encoder, corpus, vocabulary, objective, seed, learningRate: 2e-3, batchTokens: batch * 18 };
    const { model, loss, seconds } = await pretrainArm({ ...arm, steps: scaled(steps) });
    const accuracy = await tokenAccuracy(model, labelled, test, { classes, vocabulary, seed });
    model.dispose();
    return { accuracy, loss, seconds };
  },
  bounds: [
    {
      claim: "detecting over all tokens beats detecting over chosen ones only, accuracy on words never told",
      paper: "GLUE 85.0 against 82.4; here the card's .48 against .12",
      value: (of) => of.electra.accuracy - of["chosen only"].accuracy,
      atLeast: 0.2,
    },
    {
      claim: "pre-training by detection beats none",
      paper: "the card's .48 against .11",
      value: (of) => of.electra.accuracy - of.scratch.accuracy,
      atLeast: 0.25,
    },
  ],
  report: {
    "accuracy without pre-training": (of) => of.scratch.accuracy,
    "masked words": (of) => of["masked words"].accuracy,
    electra: (of) => of.electra.accuracy,
    "chosen tokens only": (of) => of["chosen only"].accuracy,
    "generator of two layers": (of) => of["two-layer generator"].accuracy,
    "replace MLM": (of) => of["replace MLM"].accuracy,
    "all-tokens MLM": (of) => of["all-tokens MLM"].accuracy,
  },
  pictures: [
    {
      kind: "bars",
      title: "Accuracy on words whose class was never told (chance 0.125)",
      bars: {
        scratch: (of) => of.scratch.accuracy,
        "masked words": (of) => of["masked words"].accuracy,
        electra: (of) => of.electra.accuracy,
        "chosen only": (of) => of["chosen only"].accuracy,
        "2-layer generator": (of) => of["two-layer generator"].accuracy,
        "replace MLM": (of) => of["replace MLM"].accuracy,
        "all-tokens MLM": (of) => of["all-tokens MLM"].accuracy,
      },
    },
  ],
});
