import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { memory, noGrad, readSafetensors, scope, type Tensor, writeSafetensors, zeros } from "@cloze/tensor";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { type EncoderConfigInput, uniformEncoder } from "../encoder/config.js";
import { architectureOf, createModel, familyOf, loadModel, type Model, saveModel } from "./index.js";

const bert = fileURLToPath(new URL("../../test/fixtures/models/bert/", import.meta.url));
const batch = packSequences([{ ids: [5, 6, 7], segments: [0, 1, 1] }, { ids: [8, 9] }]);
const small = uniformEncoder({ vocabularySize: 20, hiddenSize: 8, layers: 2, heads: 2, maxPositions: 8 });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-models-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A copy of a fixture whose weights and config may be changed. */
function changed(
  name: string,
  change: (weights: Map<string, Tensor>) => void,
  config: (json: Record<string, unknown>) => void = () => {},
): string {
  const to = join(folder, "changed");
  cpSync(join(bert, name), to, { recursive: true });
  const path = join(to, "config.json");
  const json = JSON.parse(readFileSync(path, "utf8"));
  config(json);
  writeFileSync(path, JSON.stringify(json));
  scope(() => {
    const file = readSafetensors(join(bert, name));
    const weights = new Map(file.names.map((key) => [key, file.load(key)]));
    file.close();
    change(weights);
    writeSafetensors(join(to, "model.safetensors"), weights);
  });
  return to;
}
function rename(weights: Map<string, Tensor>, to: (name: string) => string): void {
  for (const [name, value] of [...weights]) {
    weights.delete(name);
    weights.set(to(name), value);
  }
}
const jsonOf = (at: string): Record<string, unknown> => JSON.parse(readFileSync(join(at, "config.json"), "utf8"));
function use<T>(model: Model, body: (model: Model) => T): T {
  try {
    return scope(() => noGrad(() => body(model)));
  } finally {
    model.dispose();
  }
}
const outputsOf = (model: Model): unknown => {
  const { hidden, logits, pooled, startLogits } = model.forward(batch);
  return [hidden, logits, pooled, startLogits].map((x) => x?.toArray());
};
const run = (at: string, options?: Parameters<typeof loadModel>[1]): unknown => use(loadModel(at, options), outputsOf);
const refused = (at: string, code: string, message = "", options?: Parameters<typeof loadModel>[1]) =>
  expect(() => loadModel(at, options)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) }),
  );

test("every class saves what it loaded, byte by byte, and loads the same again", () => {
  for (const name of readdirSync(bert).filter((entry) => existsSync(join(bert, entry, "config.json")))) {
    const again = join(folder, name);
    use(loadModel(join(bert, name)), (model) => {
      expect(model.initialized).toEqual([]);
      saveModel(model, again);
    });
    expect(run(again)).toEqual(run(join(bert, name)));
    const { is_decoder: _, ...original } = jsonOf(join(bert, name));
    expect(jsonOf(again)).toMatchObject(original);
    const [before, after] = [join(bert, name), again].map((at) => readFileSync(join(at, "model.safetensors")));
    expect(after.equals(before), name).toBe(true);
  }
});

const ownModels: Record<string, EncoderConfigInput> = {
  "pre-norm": { ...small, normPosition: "pre" },
  "a bag of embeddings": { ...small, layers: [], embeddings: { positions: "none", norm: false, sparse: true } },
  "unequal widths": {
    ...small,
    layers: [3, 5].map((width) => ({
      mixer: { type: "attention" as const, heads: 1, headSize: width },
      channel: { type: "mlp" as const, intermediateSize: width },
    })),
  },
};
for (const [name, config] of Object.entries(ownModels)) {
  test(`a model without a class in transformers (${name}) saves as Cloze's own and comes back`, () => {
    const model = createModel({ architecture: "ForSequenceClassification", config, labels: 3, names: ["a", "b", "c"] });
    saveModel(model, folder);
    expect(jsonOf(folder)).toMatchObject({
      model_type: "cloze",
      architectures: ["ClozeForSequenceClassification"],
      cloze: { version: 1, head: { type: "sequence-classification", labels: 3 } },
    });
    const expected = use(model, (made) => [made.config, made.head.config, outputsOf(made)]);
    expect(use(loadModel(folder), (made) => [made.config, made.head.config, outputsOf(made)])).toEqual(expected);
    expect(run(folder, { architecture: "ForTokenClassification" })).toBeDefined();
  });
}

test("a new model that BERT can describe saves as BERT, with its labels and what is Cloze's own", () => {
  const config = { ...small, embeddings: { sparse: true }, residualInit: "zero" as const };
  const model = createModel({
    architecture: "BertForSequenceClassification",
    config,
    labels: 2,
    names: ["no", "yes"],
    problem: "single",
    dropout: 0.3,
  });
  saveModel(model, folder);
  expect(jsonOf(folder)).toMatchObject({
    model_type: "bert",
    architectures: ["BertForSequenceClassification"],
    id2label: { 0: "no", 1: "yes" },
    label2id: { no: 0, yes: 1 },
    problem_type: "single_label_classification",
    classifier_dropout: 0.3,
    cloze: { sparse: true, residualInit: "zero" },
  });
  const expected = use(model, (made) => [made.config, made.head.config, outputsOf(made)]);
  const loaded = loadModel(folder);
  expect(loaded.parameters.get("encoder.embeddings.word.weight")?.sparseRows).toBe(true);
  expect(use(loaded, (made) => [made.config, made.head.config, outputsOf(made)])).toEqual(expected);
});

test("unknown fields of config.json stay", () => {
  const at = changed(
    "ForMaskedLM",
    () => {},
    (json) => Object.assign(json, { my_field: [1, 2], cloze: { note: "x" } }),
  );
  const again = join(folder, "again");
  use(loadModel(at), (model) => saveModel(model, again));
  expect(jsonOf(again)).toMatchObject({ my_field: [1, 2], cloze: { note: "x" }, transformers_version: "5.18.0" });
});

test("old names, other prefixes, extra tensors and missing poolers", () => {
  const masked = run(join(bert, "ForMaskedLM"));
  const old = changed("ForMaskedLM", (weights) => {
    rename(weights, (name) =>
      name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
    );
    weights.set("cls.predictions.decoder.weight", zeros([96, 32]));
    weights.set("bert.embeddings.position_ids", zeros([1, 48]));
  });
  expect(run(old)).toEqual(masked);
  rmSync(old, { recursive: true });
  const bare = changed("ForMaskedLM", (weights) => rename(weights, (name) => name.replace(/^bert\./, "")));
  expect(run(bare)).toEqual(masked);
  rmSync(bare, { recursive: true });
  const base = changed("Model", (weights) => {
    rename(weights, (name) => `bert.${name}`);
    weights.delete("bert.pooler.dense.weight");
  });
  use(loadModel(base), (model) => {
    expect(model.head.config.type).toBe("none");
    expect(model.architecture).toBe("Model");
    expect(model.forward(batch).pooled).toBeUndefined();
  });
});

test("a decoder of its own is read and written", () => {
  const at = changed(
    "ForMaskedLM",
    (weights) => weights.set("cls.predictions.decoder.weight", zeros([96, 32])),
    (json) => Object.assign(json, { tie_word_embeddings: false }),
  );
  const again = join(folder, "again");
  use(loadModel(at), (model) => {
    expect(model.parameters.get("head.decoder.weight")?.shape).toEqual([96, 32]);
    saveModel(model, again);
  });
  expect(run(again)).toEqual(run(at));
});

test("fine-tuning starts from another class: its head is made anew, by the seed", () => {
  const from = join(bert, "Model");
  const head = (model: Model) => model.parameters.get("head.classifier.weight")?.toArray();
  use(loadModel(from, { architecture: "ForSequenceClassification", labels: 7, seed: 3 }), (model) => {
    expect(model.initialized).toEqual(["head.classifier.weight", "head.classifier.bias"]);
    expect(model.forward(batch).logits?.shape).toEqual([2, 7]);
    expect(model.head.config).toMatchObject({ labels: 7 });
    const same = loadModel(from, { architecture: "ForSequenceClassification", labels: 7, seed: 3 });
    expect(use(same, head)).toEqual(head(model));
    const other = loadModel(from, { architecture: "ForSequenceClassification", labels: 7, seed: 4 });
    expect(use(other, head)).not.toEqual(head(model));
  });
  // The same class with another number of labels.
  const classifier = join(bert, "ForSequenceClassification");
  use(loadModel(classifier, { architecture: "ForSequenceClassification" }), (model) =>
    expect(model.initialized).toEqual([]),
  );
  use(loadModel(classifier, { architecture: "ForSequenceClassification", labels: 2 }), (model) =>
    expect(model.initialized).toEqual(["head.classifier.weight", "head.classifier.bias"]),
  );
});

test("broken folders are refused, by code, and leave no memory behind", () => {
  const before = memory.stats();
  refused(join(folder, "nothing"), "CONFIG_MISSING");
  const broken = (
    name: string,
    code: string,
    message: string,
    ...change: [Parameters<typeof changed>[1], Parameters<typeof changed>[2]?]
  ) => {
    const at = changed(name, ...change);
    refused(at, code, message);
    rmSync(at, { recursive: true });
  };
  const key = "bert.encoder.layer.1.attention.self.key.weight";
  broken("ForMaskedLM", "WEIGHT_MISSING", key, (weights) => weights.delete(key));
  // Each tensor that is missing is named, also where several make up one parameter.
  broken("ForMaskedLM", "WEIGHT_MISSING", key.replace("key", "value"), (weights) => {
    for (const part of ["query", "key", "value"]) weights.delete(key.replace("key", part));
  });
  broken("ForMaskedLM", "WEIGHT_SHAPE", key, (weights) => weights.set(key, zeros([32, 31])));
  broken("ForMaskedLM", "WEIGHT_MISSING", "cls.predictions.bias", (weights) => weights.delete("cls.predictions.bias"));
  broken("ForSequenceClassification", "WEIGHT_MISSING", "pooler", (weights) =>
    weights.delete("bert.pooler.dense.bias"),
  );
  const nothing = () => {};
  const config = (fields: object) => (json: Record<string, unknown>) => void Object.assign(json, fields);
  broken("Model", "VOCABULARY_MISMATCH", "word_embeddings", nothing, config({ vocab_size: 95 }));
  broken("Model", "CONFIG_INVALID", "hidden_size", nothing, config({ hidden_size: "wide" }));
  broken("Model", "CONFIG_INVALID", "heads", nothing, config({ num_attention_heads: 5 }));
  broken("Model", "CONFIG_UNSUPPORTED", "hidden_act", nothing, config({ hidden_act: "mystery" }));
  broken(
    "Model",
    "CONFIG_UNSUPPORTED",
    "position_embedding_type",
    nothing,
    config({ position_embedding_type: "relative_key" }),
  );
  broken("Model", "MODEL_TYPE_UNKNOWN", "", nothing, config({ model_type: "mystery" }));
  broken("Model", "MODEL_TYPE_UNKNOWN", "", nothing, config({ model_type: undefined }));
  broken("Model", "ARCHITECTURE_UNKNOWN", "", nothing, config({ architectures: ["BertForMystery"] }));
  broken("ForTokenClassification", "CONFIG_INVALID", "id2label", nothing, config({ id2label: { 1: "a", 2: "b" } }));
  const at = changed("Model", nothing);
  writeFileSync(join(at, "config.json"), "{");
  refused(at, "CONFIG_INVALID");
  writeFileSync(join(at, "config.json"), "[]");
  refused(at, "CONFIG_INVALID");
  cpSync(join(bert, "Model", "config.json"), join(at, "config.json"));
  writeFileSync(join(at, "model.safetensors"), readFileSync(join(at, "model.safetensors")).subarray(0, 5000));
  refused(at, "SAFETENSORS_TRUNCATED");
  rmSync(join(at, "model.safetensors"));
  refused(at, "FILE_NOT_FOUND");
  writeFileSync(join(at, "pytorch_model.bin"), "");
  refused(at, "WEIGHTS_FORMAT");
  expect(memory.stats()).toMatchObject({ liveBytes: before.liveBytes, allocations: before.allocations });
});

test("a save that fails leaves the old model in place", () => {
  use(loadModel(join(bert, "Model")), (model) => {
    saveModel(model, folder);
    writeFileSync(join(folder, "file"), "");
    expect(() => saveModel(model, join(folder, "file"))).toThrow(expect.objectContaining({ code: "FILE_WRITE" }));
  });
  expect(run(folder)).toEqual(run(join(bert, "Model")));
});

test("class names", () => {
  expect(architectureOf("BertLMHeadModel")).toBe("LMHeadModel");
  expect(architectureOf("RobertaForMaskedLM")).toBe("ForMaskedLM");
  expect(architectureOf("Model")).toBe("Model");
  expect(() => architectureOf("SomethingElse")).toThrow(expect.objectContaining({ code: "ARCHITECTURE_UNKNOWN" }));
  expect(familyOf("bert").classPrefix).toBe("Bert");
});
