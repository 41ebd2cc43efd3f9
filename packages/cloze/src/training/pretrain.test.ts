// Every objective with every kind of encoder: two steps, save, load, resume.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope } from "@cloze/tensor";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDocumentStore, writeDocumentStore } from "../data/document-store.js";
import { packSequences } from "../data/packed-batch.js";
import { openTokenStore, writeTokenStore } from "../data/token-store.js";
import { type EncoderConfigInput, parseEncoderConfig } from "../encoder/config.js";
import { createModel, familyOf, loadModel, type Model, saveModel } from "../families/index.js";
import { objectivePart, objectives, parseObjective } from "../objectives/index.js";
import { trainWordPiece } from "../text/index.js";
import { withPositions } from "./change-positions.js";
import { preparePretraining, pretrain } from "./pretrain.js";

const lines = Array.from({ length: 12 }, (_, i) =>
  ["the cat sat on the mat", "a dog ran after the cat", "birds sing in the old trees", "rain falls on roofs at night"]
    .map((line, j) => ((i + j) % 2 === 0 ? line : line.split(" ").reverse().join(" ")))
    .join(" "),
);
const tokenizer = trainWordPiece(lines, { vocabularySize: 70, minFrequency: 1 });
const shared = mkdtempSync(join(tmpdir(), "cloze-objectives-"));
writeTokenStore(
  join(shared, "tokens.bin"),
  lines.map((line) => tokenizer.encodeIds(line, { addSpecialTokens: false })),
);
const words = (text: string): Int32Array => Int32Array.from(tokenizer.encodeIds(text, { addSpecialTokens: false }));
writeDocumentStore(
  join(shared, "documents.bin"),
  Array.from({ length: 6 }, (_, d) => ({
    title: words(`the cat ${d}`),
    sections: [0, 1].map((s) =>
      [0, 1].map((p) => ({
        sentences: [0, 1, 2].map((i) =>
          words(
            lines[(d + s + p + i) % lines.length]
              .split(" ")
              .slice(3 * i, 3 * i + 4)
              .join(" "),
          ),
        ),
        links: [(d + 1) % 6],
      })),
    ),
  })),
);
afterAll(() => rmSync(shared, { recursive: true, force: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-pretrain-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const { vocabularySize } = tokenizer;
const sizes = {
  vocab_size: vocabularySize,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 32,
  max_position_embeddings: 40,
};
const family = (type: string, more: object = {}): EncoderConfigInput =>
  familyOf(type).readConfig({ ...sizes, ...more }).encoder;
const layers = (layer: EncoderConfigInput["layers"][number]): EncoderConfigInput => ({
  vocabularySize,
  hiddenSize: 16,
  maxPositions: 40,
  layers: [layer, layer],
});
const thin = { type: "low-rank" as const, rank: 3 };

const encoders: Readonly<Record<string, EncoderConfigInput>> = {
  bert: family("bert"),
  electra: family("electra", { embedding_size: 8 }),
  modernbert: family("modernbert", { local_attention: 8, global_attn_every_n_layers: 2, pad_token_id: 0 }),
  fnet: family("fnet", { pad_token_id: 0 }),
  gated: layers({ mixer: { type: "attention", heads: 4 }, channel: { type: "gated-mlp", intermediateSize: 24 } }),
  "low-rank": layers({
    mixer: { type: "attention", heads: 4, weights: { queryKeyValue: thin, output: thin } },
    channel: { type: "mlp", intermediateSize: 32, weights: { input: thin, output: thin } },
  }),
};

/** What an objective needs beside its defaults. */
const ngrams = [
  ["the", "cat"],
  ["old", "trees"],
  ["on", "the", "mat"],
].map((words) => ({ ids: words.flatMap((word) => [...tokenizer.encodeIds(word, { addSpecialTokens: false })]) }));
/** What an objective does not do with an encoder's mixers, it does in another mode. */
const combined = (type: string, name: string): object =>
  type === "ngram-language" && ["modernbert", "fnet"].includes(name) ? { mode: "explicit" } : {};
const options: Readonly<Record<string, object>> = {
  // Fourier mixers have no keys to hide; enhanced-decoder.test.ts tries the rest.
  "enhanced-decoder": { gradual: false },
  "ngram-language": { lexicon: ngrams },
  "clustered-token-substitution": { clusters: 6 },
  "joint-candidates": { candidates: 2, blockTokens: 13 },
};

/** An objective that predicts positions wants encoders that are told none. */
const configFor = (type: string, config: EncoderConfigInput): EncoderConfigInput => {
  if (type === "position-prediction") return withPositions(config, "none");
  // A query and two candidates have a segment each, where there are any.
  const segments = parseEncoderConfig(config).segmentVocabularySize;
  return type === "joint-candidates" && segments > 1 ? { ...config, segmentVocabularySize: 3 } : config;
};
/** What cannot combine, with the part that the refusal names. */
const refused: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  "position-prediction": { modernbert: /layers\.0\.mixer \(attention\)/, fnet: /layers\.0\.mixer \(fourier\)/ },
};

function setup(type: string, config: EncoderConfigInput, more: object = {}) {
  const objective = { type, ...options[type], ...more };
  const { architecture } = objectivePart(parseObjective(objective));
  const model = createModel({ architecture, config: configFor(type, config), seed: 3 });
  const store =
    objectivePart(parseObjective(objective)).input === "documents"
      ? openDocumentStore(join(shared, "documents.bin"))
      : openTokenStore(join(shared, "tokens.bin"));
  const run = (how: object = {}) =>
    pretrain(model, tokenizer, store, {
      objective,
      steps: 2,
      learningRate: 1e-3,
      batchTokens: 160,
      checkpointMinutes: 0,
      ...how,
    }).finally(() => store.close());
  return { model, run };
}

const bits = ({ parameters }: Model) => new Map([...parameters].map(([name, value]) => [name, value.toTypedArray()]));

// One-way language modelling wants encoders that look one way: direction.test.ts.
describe.each(Object.keys(objectives).filter((type) => type !== "causal-language"))("%s", (type) => {
  for (const [name, part] of Object.entries(refused[type] ?? {})) {
    test(`refuses ${name}, and says which part is why`, async () => {
      const { model, run } = setup(type, encoders[name]);
      await expect(run()).rejects.toMatchObject({
        code: "OBJECTIVE_COMBINATION",
        received: expect.stringMatching(part),
      });
      model.dispose();
    });
  }

  const trained = Object.keys(encoders).filter((name) => refused[type]?.[name] === undefined);
  test.each(trained)("trains %s, saves, loads, and resumes bit for bit", async (name) => {
    const whole = setup(type, encoders[name], combined(type, name));
    const before = bits(whole.model);
    const { loss } = await whole.run();
    expect(Number.isFinite(loss)).toBe(true);
    const after = bits(whole.model);
    const moved = [...after].filter(([key, value]) => value.some((x, i) => x !== before.get(key)?.[i]));
    expect(moved.length).toBeGreaterThan(after.size / 2);

    const stopped = setup(type, encoders[name], combined(type, name));
    expect((await stopped.run({ folder, shouldStop: () => true })).interrupted).toBe(true);
    const resumed = setup(type, encoders[name], combined(type, name));
    expect((await resumed.run({ folder, resume: true })).steps).toBe(2);
    expect(bits(resumed.model)).toEqual(after);

    saveModel(whole.model, join(folder, "model"));
    const loaded = loadModel(join(folder, "model"));
    expect(loaded.head.config.type).toBe(whole.model.head.config.type);
    const batch = packSequences([{ ids: tokenizer.encodeIds(lines[0]) }, { ids: tokenizer.encodeIds(lines[1]) }]);
    const logits = (model: Model) => scope(() => model.forward(batch).hidden.toTypedArray());
    expect(logits(loaded)).toEqual(logits(whole.model));
    for (const { model } of [whole, stopped, resumed, { model: loaded }]) model.dispose();
  });
});

test.each(Object.keys(objectives).filter((type) => type !== "causal-language"))(
  "%s is measured without dropout",
  (type) => {
    const objective = { type, ...options[type] };
    const part = objectivePart(parseObjective(objective));
    const store =
      part.input === "documents"
        ? openDocumentStore(join(shared, "documents.bin"))
        : openTokenStore(join(shared, "tokens.bin"));
    const losses = [0, 0.5].map((dropout) => {
      const dropouts = { hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout };
      const config = configFor(type, family("bert", dropouts));
      const model = createModel({ architecture: part.architecture, config, seed: 3 });
      const prepared = preparePretraining(model, tokenizer, store, { objective, batchTokens: 160 });
      const batch = prepared.source.next();
      const loss = (training: boolean) =>
        scope(() => prepared.objective.loss(batch, { seed: 5, step: 0, training }).item());
      const found = [loss(false), loss(true)];
      prepared.dispose();
      model.dispose();
      return found;
    });
    store.close();
    expect(losses[1][0]).toBe(losses[0][0]);
    expect(losses[1][1]).not.toBe(losses[0][0]);
  },
);

test("a lexicon of which nothing stands in the corpus trains, and says so once", async () => {
  const { model, run } = setup("ngram-language", encoders.bert, { lexicon: [{ ids: [6, 6, 6] }, { ids: [7, 7] }] });
  const notes: string[] = [];
  const { warnings } = await run({ progress: { update() {}, note: (text: string) => notes.push(text), done() {} } });
  expect(warnings).toMatchObject([{ code: "LEXICON_UNUSED", count: 2 }]);
  expect(notes.filter((text) => text.startsWith("LEXICON_UNUSED: 2 ×")).length).toBe(1);
  model.dispose();
});

test("a model with another head is refused before anything is computed", async () => {
  const model = createModel({ architecture: "ForSequenceClassification", config: encoders.bert });
  const store = openTokenStore(join(shared, "tokens.bin"));
  await expect(pretrain(model, tokenizer, store, { steps: 1 })).rejects.toMatchObject({ code: "HEAD_MISMATCH" });
  store.close();
  model.dispose();
});

test("an unknown objective, and unknown options, are refused by name", () => {
  expect(() => parseObjective({ type: "telepathy" })).toThrow(/OBJECTIVE_UNKNOWN|does not know/);
  expect(() => parseObjective({ type: "mlm", rate: 1 })).toThrow(/rate/);
  expect(() => parseObjective({ type: "mlm", colour: "blue" })).toThrow(/colour/);
});

test("a detector with BERT's layers is saved as ELECTRA's discriminator, without its generator", async () => {
  const { model, run } = setup("replaced-token-detection", encoders.bert);
  await run();
  saveModel(model, folder);
  const { architectures, model_type } = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  expect([model_type, architectures]).toEqual(["electra", ["ElectraForPreTraining"]]);
  const loaded = loadModel(folder);
  expect([...loaded.parameters.keys()].some((name) => name.includes("generator"))).toBe(false);
  model.dispose();
  loaded.dispose();
});
