import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyInto, grad, scope, type Tensor, tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { memoryDocuments } from "../data/document-store.js";
import { randomSource } from "../data/random-source.js";
import { uniformEncoder } from "../encoder/config.js";
import { loadDocumentLevel } from "../encoder/document-level-folder.js";
import { createModel } from "../families/index.js";
import { pretrain } from "../training/pretrain.js";
import { createObjective, type Objective, parseObjective } from "./index.js";
import { blockLoss, createBlockPrediction, drawBlocks, type MaskedBlockBatch } from "./masked-blocks.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-masked-blocks-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const vocabulary = {
  padId: 0,
  clsId: 2,
  sepId: 3,
  maskId: 4,
  vocabularySize: 40,
  specialIds: new Set([0, 1, 2, 3, 4]),
};
const width = 8;
const createBoth = (dropout = 0) =>
  createModel({
    architecture: "ForMaskedLM",
    config: uniformEncoder({
      vocabularySize: 40,
      hiddenSize: width,
      layers: 1,
      heads: 2,
      intermediateSize: 16,
      maxPositions: 16,
      initializerRange: 0.3,
      dropout,
    }),
    seed: 5,
  });
const random = randomSource(1);
const sentence = (length: number) => Int32Array.from({ length }, () => 5 + Math.floor(random() * 35));
/** Documents of 1, 4, 9 and 30 sentences. */
const documents = memoryDocuments(
  [1, 4, 9, 30].map((count) => ({
    title: new Int32Array(0),
    sections: [[{ sentences: Array.from({ length: count }, (_, i) => sentence(4 + (i % 6))) }]],
  })),
);
const options = {
  type: "masked-blocks",
  block: 12,
  maxBlocks: 6,
  document: { layers: 1, heads: 2, dropout: 0 },
} as const;
const frame = (model: ReturnType<typeof createBoth>) => ({
  model,
  vocabulary,
  maxLength: 16,
  batchTokens: 400,
  seed: 3,
});
const parse = (more: object = {}) =>
  parseObjective({ ...options, ...more }) as Parameters<typeof createBlockPrediction>[0];
const draw = (objective: Objective, seed = 1): MaskedBlockBatch =>
  objective.draw?.(documents, Int32Array.of(0, 1, 2, 3), randomSource(seed)) as MaskedBlockBatch;

/** A prediction with vectors to predict: two documents of 4 blocks, two of each hidden. */
function prepared(more: object = {}) {
  const model = createBoth();
  const prediction = createBlockPrediction(parse(more), { model, seed: 3 });
  const batch = { documents: Int32Array.of(0, 4, 8) } as MaskedBlockBatch["batch"];
  const masked = Int32Array.of(1, 3, 4, 6);
  const values = Float32Array.from({ length: 8 * width }, (_, i) => Math.sin(i * i + 1));
  const dispose = () => {
    prediction.dispose();
    model.dispose();
  };
  return { prediction, batch, masked, values, dispose };
}

describe("masked blocks", () => {
  test("blocks are drawn without replacement, fewer of short documents, none of a single block", () => {
    const ends = Int32Array.of(0, 1, 3, 12, 12);
    const seen = new Set<number>();
    for (let seed = 0; seed < 60; seed++) {
      const drawn = [...drawBlocks(ends, 3, randomSource(seed))];
      expect(new Set(drawn).size).toBe(4);
      expect(drawn).toEqual([...drawn].sort((a, b) => a - b));
      expect(drawn.filter((block) => block >= 3)).toHaveLength(3);
      expect(drawn.filter((block) => block === 1 || block === 2)).toHaveLength(1);
      for (const block of drawn) seen.add(block);
    }
    expect(seen.size).toBe(11);
  });

  test("the diagonal is right; blocks that are all alike cost ln of their number", () => {
    const { prediction, batch, masked, dispose } = prepared();
    scope(() => {
      const alike = tensor(
        Float32Array.from({ length: 8 * width }, (_, i) => Math.cos(i % width)),
        [8, width],
      );
      expect(blockLoss(prediction.logits(alike, { batch, masked })).item()).toBeCloseTo(Math.log(4), 5);
      const diagonal = tensor(
        Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 2 : 0)),
        [4, 4],
      );
      expect(blockLoss(diagonal).item()).toBeCloseTo(Math.log(Math.exp(2) + 3) - 2, 5);
    });
    dispose();
  });

  test("one learned vector stands in all hidden places, and what stood there is not seen", () => {
    const { prediction, batch, masked, values, dispose } = prepared();
    const { level } = prediction;
    scope(() => {
      const vectors = tensor(values, [8, width]);
      const all = Int32Array.from({ length: 8 }, (_, i) => i);
      const blind = level.states(vectors, batch.documents, { masked: all }).toArray() as number[][];
      expect(blind.slice(0, 4)).toEqual(blind.slice(4));
      const rest = values.slice();
      for (const block of masked) rest.fill(9, block * width, (block + 1) * width);
      const [seen, unseen] = [values, rest].map((own) =>
        level.states(tensor(own, [8, width]), batch.documents, { masked }).toTypedArray(),
      );
      expect(unseen).toEqual(seen);
      const table = level.parameters.get("encoder.embeddings.word.weight") as Tensor;
      expect(table.shape).toEqual([1, width]);
      // Its gradient is the slope of the loss.
      const loss = () => blockLoss(prediction.logits(vectors, { batch, masked }));
      const [slope] = (grad([loss()], [table])[0].toArray() as number[][])[0];
      const before = table.toTypedArray().slice();
      const at = (step: number) => {
        copyInto(
          table,
          tensor(
            before.map((value, i) => (i === 0 ? value + step : value)),
            [1, width],
          ),
        );
        return loss().item();
      };
      const measured = (at(1e-2) - at(-1e-2)) / 2e-2;
      expect(Math.abs(measured - slope)).toBeLessThan(1e-2 * Math.max(1, Math.abs(slope)));
    });
    dispose();
  });

  test("no gradient flows into what is to be found, unless asked", () => {
    for (const detachTargets of [true, false]) {
      const { prediction, batch, masked, values, dispose } = prepared({ detachTargets });
      scope(() => {
        const vectors = tensor(values, [8, width]).requireGrad();
        const [gradient] = grad([blockLoss(prediction.logits(vectors, { batch, masked }))], [vectors]);
        const rows = gradient.toArray() as number[][];
        const into = Math.max(...Array.from(masked, (block) => Math.hypot(...rows[block])));
        if (detachTargets) expect(into).toBe(0);
        else expect(into).toBeGreaterThan(1e-4);
        expect(Math.hypot(...rows[0])).toBeGreaterThan(1e-6);
      });
      dispose();
    }
  });

  test("batches: blocks of whole sentences, another run of a long document each time, words masked in each block", () => {
    const model = createBoth();
    const objective = createObjective(parse(), frame(model));
    const [one, two] = [draw(objective, 1), draw(objective, 2)];
    for (const { batch, rows, targets, masked } of [one, two]) {
      expect(batch.documents.slice(0, 2)).toEqual(Int32Array.of(0, 1));
      expect(Math.max(...Array.from(batch.documents.slice(1), (end, d) => end - batch.documents[d]))).toBe(6);
      expect(batch.documents.at(-1)).toBe(batch.offsets.length - 1);
      for (let i = 0; i + 1 < batch.offsets.length; i++) {
        expect(batch.ids[batch.offsets[i]]).toBe(vocabulary.clsId);
        expect([...batch.ids.slice(batch.offsets[i + 1] - 2, batch.offsets[i + 1])]).toEqual([3, 3]);
        expect([...rows].some((row) => row >= batch.offsets[i] && row < batch.offsets[i + 1])).toBe(true);
      }
      expect(rows.length).toBe(targets.length);
      expect(masked.length).toBeGreaterThanOrEqual(6);
      expect(objective.tokens({ batch })).toBeLessThanOrEqual(400);
    }
    expect(two.batch.ids).not.toEqual(one.batch.ids);
    objective.dispose();
    model.dispose();
  });

  test("the loss is both, weighted; words alone before the step from which blocks are hidden", () => {
    const model = createBoth();
    const loss = (more: object, step = 0) => {
      const objective = createObjective(parse(more), frame(model));
      const value = scope(() => objective.loss(draw(objective), { seed: 1, step, training: false }).item());
      objective.dispose();
      return value;
    };
    const words = loss({ blockWeight: 0 });
    const blocks = loss({ wordWeight: 0 });
    expect(blocks).toBeGreaterThan(0.1);
    expect(loss({ wordWeight: 2, blockWeight: 3 })).toBeCloseTo(2 * words + 3 * blocks, 4);
    expect(loss({ blocksFrom: 5 }, 4)).toBeCloseTo(words, 5);
    expect(loss({ blocksFrom: 5 }, 5)).toBeCloseTo(words + blocks, 5);
    model.dispose();
    expect(() => createObjective(parse({ block: 32 }), frame(createBoth()))).toThrow(
      expect.objectContaining({ code: "OBJECTIVE_COMBINATION" }),
    );
  });

  test("a resumed run is the run; the upper level stays with the model", async () => {
    const weights = (more: Map<string, Tensor> | ReadonlyMap<string, Tensor>) =>
      [...more].map(([name, value]) => [name, [...value.toTypedArray()]]);
    const run = async (name: string, how: object) => {
      const model = createBoth(0.1);
      let kept: unknown;
      const result = await pretrain(model, vocabulary, documents, {
        objective: { ...options, document: { layers: 1, heads: 2, dropout: 0.1 } },
        steps: 8,
        learningRate: 2e-3,
        batchTokens: 200,
        seed: 4,
        folder: join(folder, name),
        inspect(objective) {
          objective.save?.(join(folder, name));
          kept = weights(new Map([...objective.parameters].filter(([key]) => key.includes(".level."))));
        },
        ...how,
      });
      return { model, kept, result };
    };
    const whole = await run("whole", {});
    let step = 0;
    await run("half", { shouldStop: () => ++step > 3 });
    const resumed = await run("half", { resume: true });
    expect(weights(resumed.model.parameters)).toEqual(weights(whole.model.parameters));
    expect(resumed.kept).toEqual(whole.kept);
    const level = loadDocumentLevel(join(folder, "whole"), whole.model.config);
    expect(weights(level.parameters).map(([name, value]) => [`masked-blocks.level.${name}`, value])).toEqual(
      whole.kept,
    );
    expect(level.config).toMatchObject({ block: 12, maxBlocks: 6, pool: { head: "l2" } });
    level.dispose();
  });
});
