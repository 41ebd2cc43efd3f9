// DSE: a cross-encoder distilled into two towers, so that a text is encoded once and a pair costs a small head.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  accuracy as accuracyOf,
  bestThreshold,
  binaryScores,
  crossEncoderLogits,
  distillPairScorer,
  finetune,
  loadModel,
  meanSquaredError,
  memoryStore,
  pearsonCorrelation,
  rocAuc,
  type ScorablePair,
  saveModel,
  taskOf,
  trainWordPiece,
  uniformEncoder,
} from "cloze";
import {
  type ArmMeasures,
  defineRecipe,
  pretrainArm,
  randomOrder,
  randomSource,
  sharedPairs,
  wordOverlap,
} from "cloze/recipes";

const batchSize = 32;
const maxLength = 64;
/** Queries and candidates of the block that is timed. */
const blockSize = 150;
type Arms = ArmMeasures<string>;
type LabelledPair = ScorablePair & { readonly label: number };

const questions = (part: string): LabelledPair[] =>
  sharedPairs(`qqp/${part}.tsv`, ["question1", "question2", "label"]).map(({ first, second, value }) => ({
    first,
    second,
    label: Number(value),
  }));
const swapped = ({ first, second, label }: LabelledPair): LabelledPair => ({ first: second, second: first, label });

/** Accuracy and F1 at a probability of one half, and the area under the curve. */
function scoresOf(pairs: readonly LabelledPair[], logits: readonly number[], threshold = 0) {
  const labels = pairs.map(({ label }) => label);
  const predictions = logits.map((logit) => Number(logit > threshold));
  const { f1 } = binaryScores(labels, predictions);
  return { accuracy: accuracyOf(labels, predictions), f1, auc: rocAuc(labels, logits) };
}

/** Word overlap of the two questions; its threshold is the one with the best accuracy in training. */
function overlapAccuracy(train: readonly LabelledPair[], dev: readonly LabelledPair[]): number {
  const { threshold } = bestThreshold(
    train.map(({ label }) => label),
    train.map((pair) => wordOverlap(pair)),
    ({ truePositives, trueNegatives }) => truePositives + trueNegatives,
  );
  return scoresOf(
    dev,
    dev.map((pair) => wordOverlap(pair)),
    threshold,
  ).accuracy;
}

export default defineRecipe({
  paper: "dse",
  title: "Scalable attentive sentence-pair modeling via distilled sentence embedding",
  source: "arXiv 1908.05161",
  parts: ["embedding/pair-scorer/"],
  about:
    "A cross-encoder reads two texts together; DSE teaches its logits to two towers whose vectors are stored, and a head scores a pair of them. Here duplicate questions (QQP), 2 layers of 64, pre-trained by masked words on the same questions. Few: 2,000 labels for the student, 10,000 for the teacher, whose logits (mean of both orders) are told for the other 9,999 pairs too. Full: all 19,999 labels for both. Every student has the same steps; a is the share of the teacher in the loss. Questions of dev.",
  arms: {
    "few, a = 0": { setting: "few", alpha: 0 },
    "few, a = 0.5": { setting: "few", alpha: 0.5 },
    "few, a = 1": { setting: "few", alpha: 1 },
    "full, a = 0": { setting: "full", alpha: 0 },
    "full, a = 0.5": { setting: "full", alpha: 0.5 },
    "full, a = 1": { setting: "full", alpha: 1 },
  } as Record<string, { setting: "few" | "full"; alpha: number }>,
  differ: "two settings of labels, each with its own teacher; inside a setting the teacher's share differs",
  async data({ seed, scaled, progress }) {
    const [all, dev] = [questions("train"), questions("dev")];
    const train = Array.from(randomOrder(all.length, randomSource(seed, 1)), (i) => all[i]);
    const texts = train.flatMap(({ first, second }) => [first, second]);
    const tokenizer = trainWordPiece(texts, { vocabularySize: 6000 });
    const ids = (text: string) => [...tokenizer.encodeIds(text, { addSpecialTokens: false })];
    const encoder = uniformEncoder({
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: 64,
      layers: 2,
      heads: 4,
      maxPositions: maxLength,
      initializerRange: 0.07,
    });
    const { model, loss } = await pretrainArm({
      encoder,
      corpus: memoryStore([
        ...texts.map(ids),
        ...train.map(({ first, second }) => [...ids(first), tokenizer.sepId, ...ids(second)]),
      ]),
      vocabulary: tokenizer,
      objective: { type: "masked-language" },
      seed,
      learningRate: 1e-3,
      batchTokens: 640,
      steps: scaled(2500),
    });
    progress.note(`masked words: loss ${loss.toFixed(2)}`);
    const folder = mkdtempSync(join(tmpdir(), "cloze-dse-"));
    saveModel(model, folder);
    model.dispose();
    const teach = async (labelled: readonly LabelledPair[], steps: number) => {
      const rows = [...labelled, ...labelled.map(swapped)];
      const { model: teacher } = await finetune({
        task: taskOf("classification"),
        model: folder,
        tokenizer,
        train: rows.map(({ first, second, label }, row) => ({ text: first, pair: second, label: String(label), row })),
        epochs: (scaled(steps) * batchSize) / rows.length,
        batchSize,
        learningRate: 1e-3,
        maxLength,
        seed,
      });
      const logits = (pairs: readonly LabelledPair[]): number[] => {
        const [there, back] = [pairs, pairs.map(swapped)].map((list) => crossEncoderLogits(teacher, tokenizer, list));
        return there.map(([logit], i) => (logit + back[i][0]) / 2);
      };
      const result = { teacher, train: logits(train), dev: logits(dev) };
      return { ...result, scores: scoresOf(dev, result.dev) };
    };
    const teachers = { few: await teach(train.slice(0, 10_000), 1000), full: await teach(train, 1600) };
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    return { train, dev, tokenizer, teachers, folder, overlap: overlapAccuracy(train, dev) };
  },
  async run({ setting, alpha }, { train, dev, tokenizer, teachers, folder, overlap }, { seed, scaled }) {
    const { scores: teacherScores, teacher, ...logits } = teachers[setting];
    // Few: 2,000 labelled pairs, as often in a batch as the 9,999 without a label, which only the teacher speaks of.
    const labelled = train.slice(0, 2000).map((pair, i) => ({ pair: pair as ScorablePair, logit: logits.train[i] }));
    const told = train.slice(10_000).map(({ first, second }, i) => ({
      pair: { first, second } as ScorablePair,
      logit: logits.train[10_000 + i],
    }));
    const all = train.map((pair, i) => ({ pair: pair as ScorablePair, logit: logits.train[i] }));
    const few = alpha === 0 ? labelled : [...told, ...Array.from({ length: 5 }, () => labelled).flat()];
    const rows = setting === "full" ? all : few;
    const { scorer, run } = await distillPairScorer({
      student: loadModel(folder, { architecture: "Model" }),
      tokenizer,
      pairs: rows.map(({ pair }) => pair),
      teacher: rows.map(({ logit }) => [logit]),
      alpha,
      pool: { layers: 2 },
      head: { type: "mlp", hidden: 512 },
      maxLength,
      batchSize,
      learningRate: 1e-3,
      steps: scaled(600),
      seed,
    });
    const embed = (side: "first" | "second", pairs = dev) => scorer.embed(pairs.map((pair) => pair[side]));
    const dots = [...scorer.score(embed("first"), embed("second"))];
    const { accuracy, f1, auc } = scoresOf(dev, dots);
    const measures: Record<string, number> = {
      accuracy,
      f1,
      auc,
      r: pearsonCorrelation(logits.dev, dots),
      mse: meanSquaredError(logits.dev, dots),
      seconds: run.seconds,
      "teacher accuracy": teacherScores.accuracy,
      "teacher f1": teacherScores.f1,
      "teacher auc": teacherScores.auc,
      "overlap accuracy": overlap,
    };
    if (alpha === 1) {
      const block = dev.slice(0, blockSize);
      const pairs = block.flatMap(({ first }) => block.map(({ second }) => ({ first, second })));
      const time = (work: () => unknown): number => {
        const start = performance.now();
        work();
        return (performance.now() - start) / 1000;
      };
      measures["cross-encoder seconds"] = time(() => crossEncoderLogits(teacher, tokenizer, pairs));
      measures["towers seconds"] = time(() => scorer.scoreAll(embed("first", block), embed("second", block)));
    }
    scorer.dispose();
    return measures;
  },
  bounds: [
    {
      claim: "few: the cross-encoder that teaches, above word overlap, accuracy",
      paper: "the card's .723 and .663, required + .03",
      value: (of) => of["few, a = 1"]["teacher accuracy"] - of["few, a = 1"]["overlap accuracy"],
      atLeast: 0.03,
    },
    {
      claim: "full: the same",
      paper: "the card's .735 and .663, required + .03",
      value: (of) => of["full, a = 1"]["teacher accuracy"] - of["full, a = 1"]["overlap accuracy"],
      atLeast: 0.03,
    },
    ...["few, a = 0.5", "few, a = 1"].flatMap((arm) => [
      {
        claim: `${arm} above labels alone, accuracy`,
        paper: "the card's + .035, required + .015",
        value: (of: Arms) => of[arm].accuracy - of["few, a = 0"].accuracy,
        atLeast: 0.015,
      },
      {
        claim: `${arm} above labels alone, area under the curve`,
        paper: "the card's + .045, required + .02",
        value: (of: Arms) => of[arm].auc - of["few, a = 0"].auc,
        atLeast: 0.02,
      },
      {
        claim: `${arm} against its teacher, accuracy`,
        paper: "4.6 % relative degradation; the card's 0, required - .02",
        value: (of: Arms) => of[arm].accuracy - of[arm]["teacher accuracy"],
        atLeast: -0.02,
      },
    ]),
    {
      claim: "full, a = 0.5 does not lose to labels alone, accuracy",
      paper: "the card's + .003, required - .02",
      value: (of) => of["full, a = 0.5"].accuracy - of["full, a = 0"].accuracy,
      atLeast: -0.02,
    },
    ...(["few", "full"] as const).flatMap((setting) => [
      {
        claim: `${setting}: correlation with the teacher's logits, the less of a = 0.5 and a = 1`,
        paper: "the card's .88 and .92, required .80",
        value: (of: Arms) => Math.min(of[`${setting}, a = 0.5`].r, of[`${setting}, a = 1`].r),
        atLeast: 0.8,
      },
      {
        claim: `${setting}: and above that of labels alone`,
        paper: "the card's + .32 and + .19, required + .10",
        value: (of: Arms) =>
          Math.min(of[`${setting}, a = 0.5`].r, of[`${setting}, a = 1`].r) - of[`${setting}, a = 0`].r,
        atLeast: 0.1,
      },
      {
        claim: `${setting}: squared error to the teacher, a = 1 as a share of a = 0`,
        paper: "the card's .45 against 1.67, required half",
        value: (of: Arms) => of[`${setting}, a = 1`].mse / of[`${setting}, a = 0`].mse,
        atMost: 0.5,
      },
    ]),
    {
      claim: `scoring ${blockSize} x ${blockSize} pairs: time of the cross-encoder as a multiple of the towers' with their encoding`,
      paper: "several orders of magnitude at n of a million; required 10 at this size",
      value: (of) => of["few, a = 1"]["cross-encoder seconds"] / of["few, a = 1"]["towers seconds"],
      atLeast: 10,
      digits: 1,
    },
  ],
  report: {
    "word overlap, accuracy": (of) => of["few, a = 0"]["overlap accuracy"],
    ...Object.fromEntries(
      (["few", "full"] as const).flatMap((setting) => [
        [`${setting}, teacher`, (of: Arms) => of[`${setting}, a = 0`]["teacher accuracy"]],
        [`${setting}, teacher's area`, (of: Arms) => of[`${setting}, a = 0`]["teacher auc"]],
        ...["0", "0.5", "1"].flatMap((alpha) => [
          [`${setting}, a = ${alpha}`, (of: Arms) => of[`${setting}, a = ${alpha}`].accuracy],
          [`${setting}, a = ${alpha}, area`, (of: Arms) => of[`${setting}, a = ${alpha}`].auc],
        ]),
      ]),
    ),
  },
  pictures: [
    {
      kind: "bars",
      title: "Few labels: area under the curve on QQP dev",
      bars: {
        "labels alone": (of) => of["few, a = 0"].auc,
        "a = 0.5": (of) => of["few, a = 0.5"].auc,
        "a = 1": (of) => of["few, a = 1"].auc,
        teacher: (of) => of["few, a = 1"]["teacher auc"],
      },
    },
  ],
});
