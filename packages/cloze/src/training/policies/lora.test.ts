import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  backward,
  createAdamW,
  decayGroups,
  matmul,
  memory,
  mul,
  readSafetensors,
  scope,
  sub,
  sum,
  transpose,
} from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { uniformEncoder } from "../../encoder/config.js";
import { encoderMatrices } from "../../encoder/surgery.js";
import { createModel, loadModel, type Model, saveModel } from "../../families/index.js";
import { addLora, mergeLora, trainedParameters } from "./lora.js";
import { loadLora, saveLora } from "./lora-files.js";

const fixtures = fileURLToPath(new URL("../../../test/fixtures/lora", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cloze-lora-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const batch = packSequences([{ ids: [2, 5, 6, 7, 3] }, { ids: [2, 9, 10, 3] }]);
const labels = Int32Array.of(2, 0);
const base = (): Model => loadModel(join(fixtures, "base"));
const logitsOf = (model: Model): Float32Array =>
  scope(() => model.forward(batch).logits?.toTypedArray() as Float32Array);
const expectNear = (received: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 2e-5) => {
  expect(received).toHaveLength(expected.length);
  const scale = Math.max(1, ...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++) expect(Math.abs(received[i] - expected[i]) / scale).toBeLessThan(tolerance);
};

describe.each(["query-value", "all-linear"])("an adapter of PEFT: %s", (name) => {
  const file = readSafetensors(join(fixtures, name, "expected.safetensors"));
  const expected = (key: string) => scope(() => file.load(key).toTypedArray());

  test("the same outputs, loss and gradients; merged too; saved again, the same file", () => {
    const live = memory.stats().liveBytes;
    const model = loadLora(base(), join(fixtures, name));
    expectNear(logitsOf(model), expected("logits"));
    scope(() => {
      const { loss } = model.forward(batch, { labels });
      if (loss === undefined) throw new Error("no loss");
      expectNear([loss.item()], expected("loss"));
      backward(loss);
    });
    const key = (layer: number, side: string) =>
      `gradient.base_model.model.bert.encoder.layer.${layer}.attention.self.value.lora_${side.toUpperCase()}.weight`;
    for (const layer of [0, 1]) {
      for (const side of ["a", "b"]) {
        const parameter = model.parameters.get(`encoder.layers.${layer}.mixer.queryKeyValue.lora.2.${side}`);
        expectNear(parameter?.grad?.toTypedArray() ?? [], expected(key(layer, side)), 1e-4);
      }
    }
    expectNear(
      model.parameters.get("head.classifier.weight")?.grad?.toTypedArray() ?? [],
      expected("gradient.base_model.model.classifier.weight"),
      1e-4,
    );
    const out = join(folder, name);
    saveLora(model, out, { baseModel: "tiny" });
    const [ours, theirs] = [out, join(fixtures, name)].map((path) =>
      readSafetensors(join(path, "adapter_model.safetensors")),
    );
    scope(() => {
      for (const tensor of theirs.names) {
        // What PEFT has for the pooler is in the pooler itself here.
        if (tensor.includes("pooler")) continue;
        expect(ours.load(tensor).toTypedArray(), tensor).toEqual(theirs.load(tensor).toTypedArray());
      }
    });
    const again = loadLora(base(), out);
    expectNear(logitsOf(again), expected("logits"));
    again.dispose();
    const merged = mergeLora(model);
    expectNear(logitsOf(merged), expected("logits"));
    expect([...merged.parameters.keys()].some((parameter) => parameter.includes("lora"))).toBe(false);
    saveModel(merged, join(folder, `${name}-merged`));
    merged.dispose();
    const saved = loadModel(join(folder, `${name}-merged`));
    expect(saved.source?.model_type).toBe("bert");
    expectNear(logitsOf(saved), expected("logits"));
    saved.dispose();
    for (const opened of [ours, theirs]) opened.close();
    expect(memory.stats().liveBytes).toBe(live);
  });
});

test("adapters change nothing at first, are all that is trained, and learn", () => {
  const plain = base();
  const before = logitsOf(plain);
  const frozen = new Map([...plain.parameters].map(([name, value]) => [name, value.toTypedArray()]));
  const start = memory.stats().byKind;
  const model = addLora(plain, { rank: 2, alpha: 4, dropout: 0.1, targets: ["query", "value", "output.dense"] });
  expect(logitsOf(model)).toEqual(before);
  const trained = trainedParameters(model);
  const adapters = [...trained.keys()].filter((name) => name.includes(".lora."));
  // Query and value of two layers, and the second matrix of the mixer and of the channel: A and B each.
  expect(adapters).toHaveLength(2 * (2 + 2) * 2);
  expect([...trained.keys()].filter((name) => !name.includes(".lora."))).toEqual([
    "head.pooler.weight",
    "head.pooler.bias",
    "head.classifier.weight",
    "head.classifier.bias",
  ]);
  const bytes = [...trained.values()].reduce((total, { size }) => total + 4 * size, 0);
  const optimizer = createAdamW(decayGroups(model.parameters, { learningRate: 1e-2, weightDecay: 0 }));
  let loss = Number.POSITIVE_INFINITY;
  for (let step = 0; step < 30; step++) {
    scope(() => {
      const output = model.forward(batch, { labels, training: true, seed: step });
      if (output.loss === undefined) throw new Error("no loss");
      loss = output.loss.item();
      backward(output.loss);
    });
    expect(memory.stats().byKind.gradients - start.gradients).toBe(bytes);
    optimizer.step();
    expect(memory.stats().byKind.optimizer - start.optimizer).toBe(2 * bytes);
    optimizer.zeroGrad();
  }
  expect(loss).toBeLessThan(0.2);
  for (const [name, value] of frozen)
    if (!name.startsWith("head.")) expect(model.parameters.get(name)?.toTypedArray()).toEqual(value);
  const learnt = logitsOf(model);
  // Without merging, the model is saved as Cloze's own.
  saveModel(model, join(folder, "unmerged"));
  const again = loadModel(join(folder, "unmerged"));
  expect(logitsOf(again)).toEqual(learnt);
  again.dispose();
  optimizer.dispose();
  const merged = mergeLora(model);
  expectNear(logitsOf(merged), learnt);
  expect([...merged.parameters.values()].every(({ requiresGrad }) => requiresGrad)).toBe(true);
  merged.dispose();
});

test("less is saved for the backward pass than in full training", () => {
  const saved = (model: Model): number =>
    scope(() => {
      const before = memory.stats().byKind.saved;
      const { hidden } = model.forward(batch, { training: true });
      const bytes = memory.stats().byKind.saved - before;
      backward(sum(mul(hidden, hidden)));
      return bytes;
    });
  const full = base();
  const bytes = saved(full);
  const adapted = addLora(full, { rank: 1 });
  expect(saved(adapted)).toBeLessThan(bytes);
  adapted.dispose();
});

test("targets: by Cloze's names, all-linear, of a model without a Hugging Face class; unknown ones are refused", () => {
  const config = uniformEncoder({ vocabularySize: 20, hiddenSize: 8, layers: 2, heads: 2, normPosition: "pre" });
  const create = () => createModel({ architecture: "ForTokenClassification", config, labels: 3 });
  const adaptersOf = (model: Model) =>
    encoderMatrices(model.config).flatMap(({ path, weights }) =>
      weights.type === "lora" ? [`${path} ${weights.targets?.join()} of ${weights.blocks}`] : [],
    );
  const byName = addLora(create(), { targets: ["channel.input"] });
  expect(adaptersOf(byName)).toEqual(["layers.0.channel.input 0 of 1", "layers.1.channel.input 0 of 1"]);
  const usual = addLora(create());
  expect(adaptersOf(usual)).toEqual(["layers.0.mixer.queryKeyValue 0,2 of 3", "layers.1.mixer.queryKeyValue 0,2 of 3"]);
  const all = addLora(create(), { targets: "all-linear", rank: 3 });
  expect(adaptersOf(all)).toHaveLength(8);
  saveLora(all, join(folder, "cloze"));
  const again = loadLora(create(), join(folder, "cloze"));
  expect(logitsOf(again)).toEqual(logitsOf(all));
  const plain = create();
  expect(() => addLora(plain, { targets: ["query", "telepathy"] })).toThrow(
    expect.objectContaining({ code: "LORA_TARGETS", message: expect.any(String) }),
  );
  expect(() => addLora(all)).toThrow(expect.objectContaining({ code: "LORA_PRESENT" }));
  expect(() => saveLora(plain, folder)).toThrow(expect.objectContaining({ code: "LORA_MISSING" }));
  for (const model of [byName, usual, all, again, plain]) model.dispose();
});

test("adapters of other models, and of other kinds, are refused", () => {
  const model = base();
  const changed = (name: string, change: object): string => {
    const path = join(folder, name);
    cpSync(join(fixtures, "query-value"), path, { recursive: true });
    const config = JSON.parse(readFileSync(join(path, "adapter_config.json"), "utf8"));
    writeFileSync(join(path, "adapter_config.json"), JSON.stringify({ ...config, ...change }));
    return path;
  };
  const refused = (path: string, code: string, on: Model = model) =>
    expect(() => loadLora(on, path)).toThrow(expect.objectContaining({ code }));
  refused(changed("dora", { use_dora: true }), "ADAPTER_UNSUPPORTED");
  refused(changed("ia3", { peft_type: "IA3" }), "ADAPTER_INVALID");
  refused(changed("rank", { r: 3 }), "ADAPTER_MISMATCH");
  refused(folder, "ADAPTER_MISSING");
  const other = createModel({
    architecture: "ForSequenceClassification",
    config: uniformEncoder({ vocabularySize: 40, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 20 }),
    labels: 3,
  });
  refused(join(fixtures, "query-value"), "ADAPTER_MISMATCH", other);
  for (const each of [model, other]) each.dispose();
});

test.each(["albert", "deberta", "gpt2", "roberta"])(
  "%s: what a file's adapter adds to a file's matrix is what merging adds",
  (type) => {
    const start = fileURLToPath(new URL(`../../../test/fixtures/families/${type}/Model`, import.meta.url));
    const [adapters, merged] = [join(folder, `${type}-adapter`), join(folder, `${type}-merged`)];
    const model = addLora(loadModel(start), { rank: 2, alpha: 3, targets: "all-linear" });
    for (const [name, value] of trainedParameters(model)) {
      if (!name.endsWith(".b")) continue;
      const values = Float32Array.from({ length: value.size }, (_, i) => Math.sin(i * 1.7 + name.length));
      value.storage.backend.write(values, value.pointer);
      value.markWritten();
    }
    saveLora(model, adapters);
    const done = mergeLora(model);
    saveModel(done, merged);
    done.dispose();
    const [adapter, before, after] = [join(adapters, "adapter_model.safetensors"), start, merged].map((path) =>
      readSafetensors(path),
    );
    scope(() => {
      const modules = adapter.names.flatMap(
        (name) => /^base_model\.model\.(.*)\.lora_A\.weight$/.exec(name)?.[1] ?? [],
      );
      expect(modules.length).toBeGreaterThan(5);
      for (const module of modules) {
        const at = (side: string) => adapter.load(`base_model.model.${module}.lora_${side}.weight`);
        const product = mul(matmul(at("B"), at("A")), 1.5);
        const difference = sub(after.load(`${module}.weight`), before.load(`${module}.weight`));
        // GPT-2's layers keep their matrices the other way round, and their adapters do not.
        const expected = type === "gpt2" ? transpose(product) : product;
        expectNear(difference.toTypedArray(), expected.toTypedArray(), 1e-5);
      }
    });
    for (const file of [adapter, before, after]) file.close();
  },
);
