// DrBERT on hidden word classes: does a decoder that is dropped leave a better encoder?
import { packSequences, pretrainFlops, uniformEncoder } from "cloze";
import {
  copyOfEncoder,
  defineRecipe,
  encoderTimeRatio,
  hiddenWordTask,
  newModel,
  objectiveLoss,
  pretrainArm,
  swappedWords,
  tokenAccuracy,
} from "cloze/recipes";

const steps = 1200;
const batch = 32;
// As 0.02 at a width of 768: what a branch gives grows with the root of the width.
const initializerRange = 0.07;
const plain = { type: "masked-language" };
const encoderOf = (vocabularySize: number) =>
  uniformEncoder({
    vocabularySize,
    hiddenSize: 48,
    layers: 2,
    heads: 4,
    maxPositions: 18,
    initializerRange,
    dropout: 0,
  });

export default defineRecipe({
  paper: "drbert",
  title: "DrBERT (BPDec): Unveiling the Potential of Masked Language Modeling Decoder in BERT pretraining",
  source: "arXiv 2401.15861",
  parts: ["objectives/enhanced-decoder.ts", "encoder/batch.ts", "encoder/mixers/composed-attention.ts"],
  about:
    "Two more layers stand between encoder and head while it is pre-trained, in which predicted positions are first hidden from the others; then they are dropped. Here on hidden word classes: words of 8 classes in chains; after pre-training the classes of two words of each are told in 200 sentences, and those of the others are asked (chance 0.125); and 200 sentences tell two words that were exchanged and two that were not, and 1,000 others are asked (chance 0.5). The plain arm is trained for as many steps, and once more for as much work as the decoder takes.",
  arms: {
    "masked words": { objective: plain, work: undefined },
    drbert: { objective: { type: "enhanced-decoder" }, work: undefined },
    "without gradual unmasking": { objective: { type: "enhanced-decoder", gradual: false }, work: undefined },
    "masked words, equal work": { objective: plain, work: { type: "enhanced-decoder" } },
  },
  differ: "the objective, and for the last arm the work that it is given",
  data({ seed, scaled }) {
    const task = hiddenWordTask(seed, scaled(steps) * batch);
    const { language } = task;
    return {
      ...task,
      held: language.sentences(500, 2),
      swapped: { labelled: swappedWords(language, 200, 1003), test: swappedWords(language, 1000, 1004) },
    };
  },
  async run({ objective, work }, { language, corpus, labelled, test, held, swapped }, { seed, scaled }) {
    const { vocabulary, classes } = language;
    const encoder = encoderOf(vocabulary.vocabularySize);
    const arm = { encoder, corpus, vocabulary, objective, seed, learningRate: 2e-3, batchTokens: batch * 18 };
    const count = scaled(steps);
    let budget: { steps?: number; flops?: number } = { steps: count };
    if (work !== undefined) {
      const asked = newModel(encoder, work, seed);
      budget = { flops: count * pretrainFlops(asked, vocabulary, corpus, { ...arm, objective: work }) };
      asked.dispose();
    }
    let loss = Number.NaN;
    const { model } = await pretrainArm({
      ...arm,
      ...budget,
      inspect: (trained) => {
        loss = objectiveLoss(trained, held, vocabulary);
      },
    });
    const fresh = newModel(encoder, plain, seed);
    const time = encoderTimeRatio(model, fresh, packSequences(held.slice(0, 100).map((ids) => ({ ids }))));
    // Fine-tuning changes the encoder: the second task begins with what pre-training left.
    const learned = copyOfEncoder(model);
    const accuracy = await tokenAccuracy(model, labelled, test, { classes, vocabulary, seed });
    const swaps = await tokenAccuracy(learned, swapped.labelled, swapped.test, { classes: 2, vocabulary, seed });
    const parameters = (one: typeof model): number =>
      [...one.encoder.parameters.values()].reduce((sum, { size }) => sum + size, 0);
    const extra = parameters(model) - parameters(fresh);
    for (const one of [model, fresh, learned]) one.dispose();
    return { accuracy, swaps, mean: (accuracy + swaps) / 2, loss, extra, time };
  },
  bounds: [
    {
      claim: "loss of the whole model, decoder included, less plain masked words' (nats): the decoder learns",
      paper: "the card asks for .02 less",
      value: (of) => of.drbert.loss - of["masked words"].loss,
      atMost: -0.02,
    },
    {
      claim: "the encoder alone, fine-tuned, against plain masked words for as many steps (mean accuracy of two tasks)",
      paper: "improved on GLUE at unchanged cost; the card asks for no more than half a point less",
      value: (of) => of.drbert.mean - of["masked words"].mean,
      atLeast: -0.005,
    },
    {
      claim: "parameters of the exported encoder beyond plain BERT's",
      paper: "none: the decoder is dropped",
      value: (of) => of.drbert.extra,
      atMost: 0,
      digits: 0,
    },
    {
      claim: "time of the exported encoder as a share of plain BERT's",
      paper: "equal; the card allows 3 %",
      value: (of) => of.drbert.time,
      atLeast: 0.97,
      atMost: 1.03,
    },
  ],
  report: {
    "classes, masked words": (of) => of["masked words"].accuracy,
    "classes, drbert": (of) => of.drbert.accuracy,
    "classes, without gradual unmasking": (of) => of["without gradual unmasking"].accuracy,
    "classes, masked words with equal work": (of) => of["masked words, equal work"].accuracy,
    "exchanged words, masked words": (of) => of["masked words"].swaps,
    "exchanged words, drbert": (of) => of.drbert.swaps,
    "exchanged words, without gradual unmasking": (of) => of["without gradual unmasking"].swaps,
    "exchanged words, masked words with equal work": (of) => of["masked words, equal work"].swaps,
    "loss, masked words": (of) => of["masked words"].loss,
    "loss, drbert": (of) => of.drbert.loss,
  },
});
