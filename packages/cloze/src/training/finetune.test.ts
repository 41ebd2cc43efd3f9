import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tensor } from "@cloze/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomSource } from "../data/random-source.js";
import { type QuestionRow, readTaskRows, type TextRow, type TokenRow } from "../data/readers/index.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, loadModel, type Model, saveModel } from "../families/index.js";
import { evaluateRows, loadTaskModel, predictRows, type Task, taskParts } from "../tasks/index.js";
import { type Tokenizer, trainWordPiece } from "../text/index.js";
import { type FinetuneOptions, type FinetuneResult, finetune } from "./finetune.js";

// A toy language: people live in cities; adjectives are kind or unkind.
const people = ["anna", "ben", "clara", "david", "emma", "felix"];
const cities = ["paris", "london", "rome", "berlin", "oslo"];
const kind = ["good", "lovely", "fine", "great"];
const unkind = ["bad", "dull", "poor", "awful"];
const nouns = ["film", "story", "song", "meal"];
const random = randomSource(11);
const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)];
const many = <Row>(count: number, make: (row: number) => Row): Row[] =>
  Array.from({ length: count }, (_, i) => make(i + 1));

const sentiments = many(64, (row): TextRow => {
  const isKind = random() < 0.5;
  return {
    text: `a ${pick(isKind ? kind : unkind)} ${pick(nouns)} by ${pick(people)}`,
    label: isKind ? "yes" : "no",
    row,
  };
});
const topics = many(96, (row): TextRow => {
  const label = nouns.filter(() => random() < 0.4);
  return { text: `${label.length === 0 ? "nothing" : label.join(" and ")} in ${pick(cities)}`, label, row };
});
const amounts = many(96, (row): TextRow => {
  const count = Math.floor(random() * 4);
  return { text: ["a", ...many(count, () => "very"), "good film"].join(" "), pair: "a film", label: count, row };
});
const sentence = (): { tokens: string[]; tags: string[] } => {
  const [person, city] = [pick(people), pick(cities)];
  if (random() < 0.3) {
    return { tokens: ["mr", person, person, "is", "here"], tags: ["B-PER", "I-PER", "I-PER", "O", "O"] };
  }
  return random() < 0.5
    ? { tokens: ["mr", person, "lives", "in", city, "."], tags: ["B-PER", "I-PER", "O", "O", "B-LOC", "O"] }
    : { tokens: [city, "is", "a", pick(kind), "place", "."], tags: ["B-LOC", "O", "O", "O", "O", "O"] };
};
const tagged = many(96, (row): TokenRow => ({ ...sentence(), row }));
const questions = many(72, (row): QuestionRow => {
  const [person, city] = [pick(people), pick(cities)];
  const context = `a ${pick(kind)} ${pick(nouns)} : ${person} lives in ${city} .`;
  const impossible = random() < 0.3;
  const answers = impossible ? [] : [{ text: city, start: context.indexOf(city) }];
  const question = `where does ${impossible ? "zoe" : person} live ?`;
  return { id: `q${row}`, question, context, answers, impossible, row };
});

let folder: string;
let base: string;
let tokenizer: Tokenizer;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-finetune-"));
  base = join(folder, "base");
  tokenizer = trainWordPiece(
    [
      ...[...sentiments, ...topics, ...amounts].map(({ text }) => text),
      ...tagged.map(({ tokens }) => tokens.join(" ")),
      ...questions.flatMap(({ question, context }) => [question, context]),
    ],
    { vocabularySize: 300, minFrequency: 1 },
  );
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize: 32,
    layers: 2,
    heads: 2,
    intermediateSize: 64,
    maxPositions: 64,
    initializerRange: 0.1,
  });
  const model = createModel({ architecture: "Model", config, seed: 5 });
  saveModel(model, base);
  tokenizer.save(base);
  model.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Some<Row, Settings, Prediction> = Omit<FinetuneOptions<Row, Settings, Prediction>, "model">;
const run = <Row, Settings, Prediction>(options: Some<Row, Settings, Prediction>) =>
  finetune({ model: base, epochs: 12, batchSize: 8, learningRate: 3e-3, maxLength: 32, seed: 2, ...options });

const values = (model: Model): Record<string, number[]> =>
  Object.fromEntries(
    [...model.parameters].map(([name, value]: [string, Tensor]) => [
      name,
      Array.from(value.toTypedArray() as Float32Array),
    ]),
  );

const roundNumbers = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, item) => (typeof item === "number" ? Number(item.toFixed(4)) : item)));

async function predictionsOf<Row, Settings, Prediction>(
  model: Pick<FinetuneResult<Row, Settings, Prediction>, "task" | "settings" | "model" | "tokenizer" | "maxLength">,
  rows: readonly Row[],
  tokenBudget?: number,
): Promise<Prediction[]> {
  const found: Prediction[] = [];
  for await (const { prediction } of predictRows(model, rows, { tokenBudget, chunk: 7 })) found.push(prediction);
  return found;
}

/** What must hold for every task: saved = in memory, batched = one by one, scores = those of the evaluation. */
async function checkTask<Row, Settings, Prediction>(
  task: Task<Row, Settings, Prediction>,
  rows: readonly Row[],
  options: Partial<Some<Row, Settings, Prediction>>,
  least: number,
): Promise<FinetuneResult<Row, Settings, Prediction>> {
  const out = mkdtempSync(join(folder, `${task.name}-`));
  const result = await run({ task, train: rows, dev: rows, folder: out, ...options });
  expect(result.devScores?.values[task.headline(result.settings)]).toBeGreaterThanOrEqual(least);
  const few = rows.slice(0, 20);
  const together = await predictionsOf(result, few);
  expect(roundNumbers(await predictionsOf(result, few, 1))).toEqual(roundNumbers(together));
  const loaded = loadTaskModel(out);
  expect(loaded.settings).toEqual(JSON.parse(JSON.stringify(result.settings)));
  expect(await predictionsOf(loaded, few)).toEqual(together);
  const { scores } = await evaluateRows(loaded, rows);
  expect(scores.values).toEqual(result.devScores?.values);
  expect(readdirSync(out).filter((name) => /checkpoint|best/.test(name))).toEqual([]);
  for (const name of ["config.json", "model.safetensors", "tokenizer.json", "task.json", "loss.svg", "log.jsonl"])
    expect(existsSync(join(out, name))).toBe(true);
  loaded.model.dispose();
  return result;
}

describe("every task learns, saves, loads and predicts", () => {
  test("one class", async () => {
    const result = await checkTask(taskParts.classification, sentiments, {}, 1);
    const predictions = await predictionsOf(result, sentiments);
    const right = sentiments.filter(({ label }, i) => predictions[i].label === label).length;
    expect(result.devScores?.values.accuracy).toBe(right / sentiments.length);
    expect(Object.keys(predictions[0].scores)).toEqual(["no", "yes"]);
    expect(result.devScores?.confusion?.names).toEqual(["no", "yes"]);
    result.model.dispose();
  });
  test("several labels, with thresholds tuned on the dev rows", async () => {
    const options = { epochs: 20, taskOptions: { tuneThresholds: true, classWeights: "balanced" } };
    const { model, settings } = await checkTask(taskParts["multi-label"], topics, options, 0.98);
    expect(Object.keys(settings.thresholds ?? {})).toEqual([...nouns].sort());
    expect(Object.values(settings.thresholds ?? {})).not.toEqual(nouns.map(() => 0.5));
    model.dispose();
  });
  test("a number for a pair", async () => {
    const result = await checkTask(taskParts.regression, amounts, { epochs: 12 }, 0.9);
    const predictions = await predictionsOf(result, amounts);
    const squares = amounts.map(({ label }, i) => (Number(label) - predictions[i].value) ** 2);
    const mean = squares.reduce((a, b) => a + b, 0) / squares.length;
    // Batches are others, and so may be float32's last bits.
    expect(result.devScores?.values.meanSquaredError).toBeCloseTo(mean, 6);
    result.model.dispose();
  });
  test("entities, as spans of characters", async () => {
    const result = await checkTask(taskParts["token-classification"], tagged, {}, 0.98);
    expect(result.settings.scheme).toBe("BIO");
    const [found] = await predictionsOf(result, [{ tokens: ["mr", "anna", "lives", "in", "oslo", "."], row: 1 }]);
    expect(found.entities.map(({ text, label }) => `${label} ${text}`)).toEqual(["PER mr anna", "LOC oslo"]);
    for (const { start, end, text } of found.entities) expect(found.text.slice(start, end)).toBe(text);
    result.model.dispose();
  });
  test.each(["BIOES", "BILOU"] as const)("entities by a random field, in %s", async (tagScheme) => {
    const options = { epochs: 8, taskOptions: { tagScheme, crf: true, constrained: true } };
    const { model, settings, devScores } = await checkTask(taskParts["token-classification"], tagged, options, 0.98);
    const [end, single] = tagScheme === "BIOES" ? ["E", "S"] : ["L", "U"];
    expect(settings.names).toEqual(["B-PER", "I-PER", "O", `${end}-PER`, `${single}-LOC`].sort());
    // Scores compare entities, whatever scheme the rows are in.
    expect(devScores?.values["f1.PER"]).toBeGreaterThan(0.95);
    model.dispose();
  });
  test("words at masks; where there is no mask, tokens that are hidden", async () => {
    const homes = many(60, (row): TextRow => {
      const person = row % cities.length;
      return { text: `${people[person]} lives in [MASK] .`, label: cities[person], row };
    });
    const result = await checkTask(taskParts["fill-mask"], homes, { epochs: 30 }, 0.95);
    const [first] = await predictionsOf(result, homes.slice(0, 1));
    expect(first.expected).toEqual([cities[1]]);
    expect(first.masks[0]).toHaveLength(10);
    expect(first.masks[0].map(({ probability }) => probability)).toEqual(
      first.masks[0].map(({ probability }) => probability).sort((a, b) => b - a),
    );
    const [hidden] = await predictionsOf(result, [{ text: "anna lives in rome .", row: 3 }]);
    expect(hidden.expected?.length).toBe(hidden.masks.length);
    const unknown = [{ text: "anna lives in [MASK] .", label: "nowhere at all", row: 1 }];
    await expect(evaluateRows(result, unknown)).resolves.toMatchObject({ scores: { values: { accuracy: 0 } } });
    const two = [{ text: "[MASK] lives in [MASK] .", label: "anna", row: 1 }];
    await expect(evaluateRows(result, two)).rejects.toThrow(/a word for each mask/);
    result.model.dispose();
  });
  test("answers, and that there are none", async () => {
    const options = { epochs: 10, maxLength: 64 };
    const result = await checkTask(taskParts["question-answering"], questions, options, 90);
    expect(result.settings.unanswerable).toBe(true);
    const predictions = await predictionsOf(result, questions);
    predictions.forEach(({ candidates, answer, noAnswerScore }, i) => {
      for (const { start, end, text } of candidates) expect(questions[i].context.slice(start, end)).toBe(text);
      const none = (noAnswerScore as number) > result.settings.noAnswerThreshold;
      expect(answer).toBe(none ? "" : candidates[0].text);
    });
    result.model.dispose();
  });
});

describe("a run", () => {
  const task = taskParts.classification;
  test("that stopped and went on equals one that did not, bit for bit", async () => {
    const whole = await run({ task, train: sentiments, dev: sentiments, folder: join(folder, "whole"), epochs: 3 });
    const parts = { task, train: sentiments, dev: sentiments, folder: join(folder, "parts"), epochs: 3 };
    const first = await run({ ...parts, shouldStop: (step) => step === 13 });
    expect(first.run.interrupted).toBe(true);
    expect(existsSync(join(folder, "parts", "task.json"))).toBe(false);
    const second = await run({ ...parts, resume: true });
    expect(second.run.steps).toBe(24);
    expect(values(second.model)).toEqual(values(whole.model));
    const log = (name: string) => readFileSync(join(folder, name, "evaluations.jsonl"), "utf8");
    expect(log("parts")).toBe(log("whole"));
    for (const { model } of [whole, first, second]) model.dispose();
  });
  test("keeps the best weights, and ends when nothing improves", async () => {
    const options = { task, train: sentiments, dev: sentiments, epochs: 12, evaluateEvery: 2, patience: 3 };
    const [kept, onDisk] = [await run(options), await run({ ...options, folder: join(folder, "patience") })];
    expect(kept.stoppedEarly).toBe(true);
    const { evaluations, best } = kept;
    const top = Math.max(...evaluations.map(({ value }) => value));
    expect(best).toBe(evaluations.find(({ value }) => value === top));
    expect(evaluations.indexOf(best as (typeof evaluations)[number])).toBe(evaluations.length - 4);
    // The weights are those of that step: a run that ends its training there under the same schedule has the same.
    const { scores } = await evaluateRows(kept, sentiments);
    expect(scores.values).toEqual(best?.scores);
    expect(values(onDisk.model)).toEqual(values(kept.model));
    for (const { model } of [kept, onDisk]) model.dispose();
  });
  test("by the budget of tokens sees every row once an epoch", async () => {
    const result = await run({
      task,
      train: sentiments,
      dev: sentiments,
      batchTokens: 40,
      epochs: 2,
      evaluateEvery: undefined,
    });
    expect(result.evaluations.map(({ epoch }) => epoch)).toEqual([1, 2]);
    result.model.dispose();
  });
  test("freezes by pattern", async () => {
    const before = loadModel(base);
    const result = await run({
      task,
      train: sentiments,
      epochs: 1,
      freeze: ["encoder.embeddings.*", "encoder.layers.{0}.*"],
    });
    const [old, now] = [values(before), values(result.model)];
    for (const name of Object.keys(old).filter((one) => one.startsWith("encoder."))) {
      const frozen = name.startsWith("encoder.embeddings.") || name.startsWith("encoder.layers.0.");
      if (frozen) expect(now[name]).toEqual(old[name]);
      else expect(now[name]).not.toEqual(old[name]);
    }
    before.dispose();
    result.model.dispose();
  });
  test("goes on from a model in memory, and from one whose labels stand in another order", async () => {
    const out = join(folder, "order");
    const first = await run({ task, train: sentiments, folder: out });
    first.model.dispose();
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    // The same classifier with other names, which sort the other way round.
    config.id2label = { 0: "z", 1: "a" };
    config.label2id = { z: 0, a: 1 };
    writeFileSync(join(out, "config.json"), JSON.stringify(config));
    const renamed = sentiments.map((row) => ({ ...row, label: row.label === "no" ? "z" : "a" }));
    const again = await run({ task, model: out, train: renamed, dev: renamed, learningRate: 0, epochs: 1 } as never);
    expect(again.settings).toMatchObject({ names: ["z", "a"] });
    expect(again.devScores?.values.accuracy).toBe(1);
    expect(again.initialized).toEqual([]);
    const memory = await finetune({
      task,
      model: again.model,
      tokenizer,
      train: renamed,
      dev: renamed,
      learningRate: 0,
      epochs: 1,
    });
    expect(memory.devScores?.values.accuracy).toBe(1);
    memory.model.dispose();
  });
});

describe("bad input", () => {
  const task = taskParts.classification;
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  test("one class, no rows, no labels, too long, nothing frozen", async () => {
    const same = sentiments.map((row) => ({ ...row, label: "yes" }));
    await expect(run({ task, train: same })).rejects.toThrow(code("LABELS_ONE_CLASS"));
    await expect(run({ task, train: [] })).rejects.toThrow(code("ROWS_EMPTY"));
    await expect(run({ task, train: [{ text: "a film", row: 1 }] })).rejects.toThrow(code("ROW_UNLABELLED"));
    // Rows to score are looked at before anything is trained.
    const started = join(folder, "unlabelled-dev");
    await expect(
      run({ task, train: sentiments, dev: [...sentiments, { text: "a film", row: 65 }], folder: started }),
    ).rejects.toThrow(code("ROW_UNLABELLED"));
    expect(existsSync(started)).toBe(false);
    await expect(run({ task, train: sentiments, maxLength: 65 })).rejects.toThrow(code("SEQUENCE_TOO_LONG"));
    await expect(run({ task, train: sentiments, freeze: ["encoder.layer.0.*"] })).rejects.toThrow(
      code("FREEZE_UNMATCHED"),
    );
    await expect(run({ task, train: sentiments, freeze: ["*"] })).rejects.toThrow(code("FREEZE_ALL"));
    await expect(run({ task, train: sentiments, taskOptions: { classWeights: { maybe: 2 } } })).rejects.toThrow(
      code("LABEL_UNKNOWN"),
    );
    await expect(
      run({ task: taskParts.regression, train: amounts.map((row) => ({ ...row, label: 1 })) }),
    ).rejects.toThrow(code("LABELS_ONE_CLASS"));
  });
  test("options that the task does not have", async () => {
    await expect(run({ task, train: sentiments, taskOptions: { stride: 3 } })).rejects.toThrow(code("TASK_OPTIONS"));
  });
  test("labels of another checkpoint are an error, or a new classifier", async () => {
    const out = join(folder, "labels");
    const first = await run({ task, train: sentiments, folder: out, epochs: 1 });
    first.model.dispose();
    const other = sentiments.map((row) => ({ ...row, label: row.label === "yes" ? "kind" : "unkind" }));
    const go = (allowMismatched: boolean) =>
      finetune({
        task,
        model: out,
        train: other,
        dev: other,
        allowMismatched,
        epochs: 12,
        batchSize: 8,
        learningRate: 3e-3,
      });
    await expect(go(false)).rejects.toThrow(code("LABEL_MAP_MISMATCH"));
    const again = await go(true);
    expect(again.initialized).toEqual(["head.classifier.weight", "head.classifier.bias"]);
    expect(again.settings.names).toEqual(["kind", "unkind"]);
    expect(again.devScores?.values.accuracy).toBe(1);
    again.model.dispose();
  });
  test("unseen labels, cut texts and misplaced answers are counted", async () => {
    const dev = [...sentiments.slice(0, 3), { text: "a film", label: "maybe", row: 4 }];
    const long = [...sentiments, { text: many(60, () => "good film").join(" "), label: "yes", row: 65 }];
    const result = await run({ task, train: long, dev });
    expect(result.warnings.map(({ code: found, count }) => [found, count])).toEqual([
      ["TEXT_CUT", 1],
      ["LABEL_UNSEEN", 1],
    ]);
    expect(result.devScores?.values.accuracy).toBe(0.75);
    result.model.dispose();
    const wrong = questions.map((row, i) =>
      i === 0 ? { ...row, answers: [{ text: "madrid", start: 0 }], impossible: false } : row,
    );
    const answers = await run({ task: taskParts["question-answering"], train: wrong, epochs: 1, maxLength: 64 });
    expect(answers.warnings).toMatchObject([{ code: "ANSWER_NOT_THERE", count: 1 }]);
    answers.model.dispose();
  });
  test("folders without a task, for another task, with another head", async () => {
    expect(() => loadTaskModel(base)).toThrow(code("TASK_MISSING"));
    expect(() => loadTaskModel(base, { task: taskParts.classification as never })).toThrow(code("HEAD_MISMATCH"));
    const out = join(folder, "other");
    const { model } = await run({ task, train: sentiments, folder: out, epochs: 1 });
    model.dispose();
    expect(() => loadTaskModel(out, { task: taskParts.regression as never })).toThrow(code("TASK_MISMATCH"));
    rmSync(join(out, "task.json"));
    const adopted = loadTaskModel(out, { task: taskParts.classification as never });
    expect(adopted.settings).toEqual({ names: ["no", "yes"] });
    adopted.model.dispose();
  });
});

test("rows come from files", async () => {
  const path = join(folder, "rows.jsonl");
  writeFileSync(path, sentiments.map(({ text, label }) => JSON.stringify({ text, label })).join("\n"));
  const rows = await readTaskRows("classification", path);
  const found: TextRow[] = [];
  for await (const row of rows) found.push(row);
  expect(found).toEqual(sentiments);
});
