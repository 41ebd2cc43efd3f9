// DrBERT's decoder: what it hides, what it mixes, and that nothing of it stays.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backward, readSafetensors, scope, type Tensor } from "@cloze/tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { uniformEncoder } from "../encoder/config.js";
import { bindMixer } from "../encoder/mixers/index.js";
import { createModel, familyOf, type Model, saveModel } from "../families/index.js";
import { madeVocabulary } from "../recipes/index.js";
import { type GraduallyMaskedBatch, graduallyUnseen } from "./enhanced-decoder.js";
import { createObjective, type Objective, parseObjective } from "./index.js";
import { maskTokens } from "./masking.js";

const vocabulary = madeVocabulary(20);
const config = uniformEncoder({
  vocabularySize: vocabulary.vocabularySize,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  maxPositions: 20,
  initializerRange: 0.2,
  dropout: 0,
});
const create = (): Model => createModel({ architecture: "ForMaskedLM", config, seed: 4 });
const batch = packSequences(
  [12, 9, 17].map((length, s) => ({ ids: [2, ...Array.from({ length }, (_, i) => 5 + ((7 * i + 3 * s) % 20)), 3] })),
);
const random = () => randomSource(5);
const objectiveOf = (model: Model, options: object): Objective<GraduallyMaskedBatch> =>
  createObjective(parseObjective({ type: "drbert", rate: 0.4, ...options }), {
    model,
    vocabulary,
    maxLength: 20,
    batchTokens: 256,
    seed: 1,
  }) as Objective<GraduallyMaskedBatch>;
const prepared = (objective: Objective<GraduallyMaskedBatch>): GraduallyMaskedBatch =>
  (objective.prepare as NonNullable<typeof objective.prepare>)(batch, random());
const lossOf = (objective: Objective<GraduallyMaskedBatch>, training = true): number =>
  scope(() => objective.loss(prepared(objective), { seed: 3, step: 0, training }).item());

function gradients(options: object): { decoder: number; encoder: number; loss: number } {
  const model = create();
  const objective = objectiveOf(model, options);
  const loss = scope(() => {
    const value = objective.loss(prepared(objective), { seed: 3, step: 0 });
    backward(value);
    return value.item();
  });
  const largest = (tensors: Iterable<Tensor>) =>
    Math.max(
      0,
      ...[...tensors].flatMap(({ grad }) => Array.from((grad?.toTypedArray() as Float32Array) ?? [0], Math.abs)),
    );
  const result = {
    decoder: largest(objective.parameters.values()),
    encoder: largest([...model.parameters].flatMap(([name, value]) => (name.includes("layers.") ? [value] : []))),
    loss,
  };
  objective.dispose();
  model.dispose();
  return result;
}

test("without layers it is masked-language modelling, bit for bit", () => {
  const model = create();
  const objective = objectiveOf(model, { decoderLayers: 0 });
  const plain = maskTokens(batch, vocabulary, random(), { rate: 0.4 });
  const { rows, targets } = plain;
  const wanted = scope(() =>
    (model.forward(plain.batch, { rows, targets, training: true, seed: 3 }).loss as Tensor).item(),
  );
  expect(lossOf(objective)).toBe(wanted);
  expect(objective.parameters.size).toBe(0);
  model.dispose();
});

describe("what the head gets", () => {
  test("probability 0: the encoder's output alone; the decoder has no gradient", () => {
    const model = create();
    const none = objectiveOf(model, { decoderLayers: 0 });
    const plain = lossOf(none);
    model.dispose();
    for (const mix of ["bernoulli", "per-sequence"]) {
      const { decoder, encoder, loss } = gradients({ mix, mixProbability: 0 });
      expect(decoder).toBe(0);
      expect(encoder).toBeGreaterThan(0);
      expect(loss).toBeCloseTo(plain, 5);
    }
  });

  test("probability 1: the decoder's alone, as without mixing and as when it is measured", () => {
    const alone = gradients({ mix: "none" });
    expect(alone.decoder).toBeGreaterThan(0);
    for (const mix of ["bernoulli", "per-sequence"])
      expect(gradients({ mix, mixProbability: 1 }).loss).toBeCloseTo(alone.loss, 5);
    const model = create();
    const mixed = objectiveOf(model, { mix: "bernoulli", mixProbability: 0.3 });
    expect(lossOf(mixed, false)).toBeCloseTo(alone.loss, 5);
    expect(lossOf(mixed)).not.toBeCloseTo(alone.loss, 3);
    mixed.dispose();
    model.dispose();
  });

  test("sum and auxiliary train both", () => {
    for (const mix of ["sum", "auxiliary"]) expect(gradients({ mix }).decoder).toBeGreaterThan(0);
  });
});

describe("gradual unmasking", () => {
  test("hides a share of each sequence's chosen tokens at first, nested, and none in the last layer", () => {
    const { rows } = maskTokens(batch, vocabulary, random(), { rate: 0.5 });
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(),
        (layers, share, seed) => {
          const unseen = graduallyUnseen(batch, rows, layers, share, randomSource(seed));
          for (let s = 0; s < 3; s++) {
            const inside = rows.filter((row) => row >= batch.offsets[s] && row < batch.offsets[s + 1]);
            const hidden = unseen.map((layer) => inside.filter((row) => layer[row] === 1));
            expect(hidden[0].length).toBe(Math.ceil(inside.length * (1 - share)));
            expect(hidden[layers - 1].length).toBe(0);
            for (let l = 1; l < layers; l++) expect(hidden[l].every((row) => hidden[l - 1].includes(row))).toBe(true);
          }
          // Only chosen tokens are ever hidden.
          expect(unseen[0].every((hides, row) => hides === 0 || rows.includes(row))).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("a hidden token changes its own output only; a visible one changes others", () => {
    // The first decoder layer, alone: its attention on states that are changed at one place.
    const model = create();
    const mixer = bindMixer(config.layers[1].mixer, 16, config);
    const names = ["queryKeyValue", "output"];
    const unseen = new Uint8Array(batch.ids.length);
    unseen[4] = 1;
    const outputs = (changed: number | undefined, hides: boolean): Float32Array =>
      scope(() => {
        const { encoder } = model;
        // Ids enter through the embeddings: another id at a place is another state there.
        const ids = batch.ids.slice();
        if (changed !== undefined) ids[changed] = ids[changed] === 9 ? 10 : 9;
        const one = encoder.forward({ ...batch, ids, ...(hides ? { unseen } : {}) }, { depth: 1 });
        return one.hidden.toTypedArray() as Float32Array;
      });
    expect(mixer.matrices.map(({ name }) => name)).toEqual(names);
    const rowsThatDiffer = (a: Float32Array, b: Float32Array): number[] =>
      Array.from({ length: batch.ids.length }, (_, row) => row).filter((row) =>
        a.subarray(16 * row, 16 * row + 16).some((x, i) => x !== b[16 * row + i]),
      );
    expect(rowsThatDiffer(outputs(undefined, true), outputs(4, true))).toEqual([4]);
    expect(rowsThatDiffer(outputs(undefined, true), outputs(5, true)).length).toBeGreaterThan(8);
    expect(rowsThatDiffer(outputs(undefined, false), outputs(4, false)).length).toBeGreaterThan(8);
    // Nobody hidden: the same as ordinary attention.
    const nobody = scope(() =>
      model.encoder.forward({ ...batch, unseen: new Uint8Array(batch.ids.length) }).hidden.toTypedArray(),
    );
    const plain = scope(() => model.encoder.forward(batch).hidden.toTypedArray());
    for (const [i, x] of nobody.entries()) expect(x).toBeCloseTo(plain[i] as number, 5);
    model.dispose();
  });

  test("all unmasked is ordinary attention", () => {
    expect(gradients({ mix: "none", unmaskFraction: 1 }).loss).toBeCloseTo(
      gradients({ mix: "none", gradual: false }).loss,
      6,
    );
    expect(gradients({ mix: "none", unmaskFraction: 0 }).loss).not.toBeCloseTo(
      gradients({ mix: "none", gradual: false }).loss,
      4,
    );
  });

  test("asks for attention when the options are read", () => {
    const fnet = familyOf("fnet").readConfig({
      vocab_size: 25,
      hidden_size: 16,
      num_hidden_layers: 1,
      intermediate_size: 16,
      pad_token_id: 0,
    });
    const model = createModel({ architecture: "ForMaskedLM", config: fnet.encoder });
    expect(() => objectiveOf(model, {})).toThrow(expect.objectContaining({ code: "OBJECTIVE_COMBINATION" }));
    objectiveOf(model, { gradual: false }).dispose();
    model.dispose();
  });
});

test("layers may begin as copies of the encoder's last ones", () => {
  const model = create();
  const objective = objectiveOf(model, { start: "copy" });
  const value = (name: string) => objective.parameters.get(`enhanced-decoder.${name}`)?.toTypedArray();
  expect(value("layers.1.mixer.output.weight")).toEqual(
    model.parameters.get("encoder.layers.1.mixer.output.weight")?.toTypedArray(),
  );
  objective.dispose();
  model.dispose();
});

test("what is saved has BERT's names and nothing of the decoder", () => {
  const folder = mkdtempSync(join(tmpdir(), "cloze-drbert-"));
  const [model, plain] = [create(), create()];
  const objective = objectiveOf(model, {});
  scope(() => backward(objective.loss(prepared(objective), { seed: 1, step: 0 })));
  objective.dispose();
  saveModel(model, join(folder, "drbert"));
  saveModel(plain, join(folder, "bert"));
  const [a, b] = ["drbert", "bert"].map((name) => readSafetensors(join(folder, name, "model.safetensors")));
  expect(a.names).toEqual(b.names);
  a.close();
  b.close();
  model.dispose();
  plain.dispose();
  rmSync(folder, { recursive: true });
});
