// DrBERT on hidden word classes: does a decoder that is dropped leave a better encoder?
import { pretrainFlops, uniformEncoder } from "cloze";
import { defineRecipe, hiddenWordTask, newModel, pretrainArm, tokenAccuracy } from "cloze/recipes";

const steps = 1200;
const batch = 32;
const plain = { type: "masked-language" };
const encoderOf = (vocabularySize: number) =>
  uniformEncoder({ vocabularySize, hiddenSize: 48, layers: 2, heads: 4, maxPositions: 18, dropout: 0 });

export default defineRecipe({
  paper: "drbert",
  title: "DrBERT (BPDec): Unveiling the Potential of Masked Language Modeling Decoder in BERT pretraining",
  source: "arXiv 2401.15861",
  parts: ["objectives/enhanced-decoder.ts", "encoder/batch.ts", "encoder/mixers/composed-attention.ts"],
  about:
    "Two more layers stand between encoder and head while it is pre-trained, in which predicted positions are first hidden from the others; then they are dropped. Here on hidden word classes: words of 8 classes in chains; after pre-training the classes of two words of each are told in 200 sentences, and those of the others are asked (chance 0.125). The plain arm is trained for as many steps, and once more for as much work as the decoder takes.",
  arms: {
    "masked words": { objective: plain, work: undefined },
    drbert: { objective: { type: "enhanced-decoder" }, work: undefined },
    "without gradual unmasking": { objective: { type: "enhanced-decoder", gradual: false }, work: undefined },
    "masked words, equal work": { objective: plain, work: { type: "enhanced-decoder" } },
  },
  differ: "the objective, and for the last arm the work that it is given",
  data({ seed, scaled }) {
    return hiddenWordTask(seed, scaled(steps) * batch);
  },
  async run({ objective, work }, { language, corpus, labelled, test }, { seed, scaled }) {
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
    const { model, loss } = await pretrainArm({ ...arm, ...budget });
    const accuracy = await tokenAccuracy(model, labelled, test, { classes, vocabulary, seed });
    const fresh = newModel(encoder, plain, seed);
    const parameters = (one: typeof model): number =>
      [...one.encoder.parameters.values()].reduce((sum, { size }) => sum + size, 0);
    const extra = parameters(model) - parameters(fresh);
    model.dispose();
    fresh.dispose();
    return { accuracy, loss, extra };
  },
  bounds: [
    {
      claim: "the encoder alone, fine-tuned, against plain masked words for as many steps (accuracy)",
      paper: "improved on GLUE at unchanged cost; the card asks for no more than half a point less",
      value: (of) => of.drbert.accuracy - of["masked words"].accuracy,
      atLeast: -0.005,
    },
    {
      claim: "parameters of the exported encoder beyond plain BERT's",
      paper: "none: the decoder is dropped",
      value: (of) => of.drbert.extra,
      atMost: 0,
      digits: 0,
    },
  ],
  report: {
    "masked words": (of) => of["masked words"].accuracy,
    drbert: (of) => of.drbert.accuracy,
    "without gradual unmasking": (of) => of["without gradual unmasking"].accuracy,
    "masked words, equal work": (of) => of["masked words, equal work"].accuracy,
  },
});
