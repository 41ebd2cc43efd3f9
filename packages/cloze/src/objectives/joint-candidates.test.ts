import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyInto, scope, sum, type Tensor, take, tensor, zeros } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { memoryDocuments } from "../data/document-store.js";
import { randomSource } from "../data/random-source.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, type Model } from "../families/index.js";
import { createObjective, parseObjective } from "./index.js";
import { jointTexts } from "./joint-candidates.js";
import { type JointTexts, packJoint } from "./pairs/joint-blocks.js";
import { createJointClassifier, jointKinds } from "./pairs/joint-classifier.js";
import { jointFiles } from "./pairs/joint-folder.js";

const shared = mkdtempSync(join(tmpdir(), "cloze-joint-"));
afterAll(() => rmSync(shared, { recursive: true, force: true }));

const vocabulary = { clsId: 2, sepId: 3, maskId: 4, vocabularySize: 60, specialIds: new Set([0, 2, 3, 4]) };
const shape = { candidates: 3, blockTokens: 8 };
const encoder = uniformEncoder({
  vocabularySize: 60,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  maxPositions: 32,
  segmentVocabularySize: 4,
  dropout: 0,
  initializerRange: 0.3,
});
const create = (architecture = "Model"): Model => createModel({ architecture, config: encoder, seed: 2 });
const texts: JointTexts[] = [
  { query: [10, 11], candidates: [[20, 21, 22], [30], [40, 41, 42, 43, 44, 45, 46, 47, 48]] },
  { query: [12], candidates: [[23, 24]] },
];
const pack = (list: readonly JointTexts[]) => packJoint(list, vocabulary, shape, 4);
const close = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  expect(Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])))).toBeLessThan(1e-5);

describe("blocks", () => {
  test("begin at multiples of their size, have a segment each, and are cut where they are too long", () => {
    const { batch, starts, blocks } = pack(texts);
    expect([...blocks]).toEqual([0, 4, 6]);
    expect(Array.from(starts, (row) => batch.positions[row])).toEqual([0, 8, 16, 24, 0, 8]);
    expect(Array.from(starts, (row) => batch.segments[row])).toEqual([0, 1, 2, 3, 0, 1]);
    expect(Array.from(starts, (row) => batch.ids[row])).toEqual([2, 2, 2, 2, 2, 2]);
    expect([...batch.ids.subarray(starts[3], batch.offsets[1])]).toEqual([2, 40, 41, 42, 43, 44, 45, 3]);
    expect([...batch.offsets]).toEqual([0, 4 + 5 + 3 + 8, 4 + 5 + 3 + 8 + 3 + 4]);
  });

  test("without padding give what blocks with masked padding give", () => {
    const model = create();
    const { batch, starts } = pack(texts.slice(0, 1));
    const length = 4 * shape.blockTokens;
    const padded = {
      ids: new Int32Array(length),
      segments: Int32Array.from({ length }, (_, i) => Math.floor(i / shape.blockTokens)),
      positions: Int32Array.from({ length }, (_, i) => i),
      offsets: Int32Array.of(0, length),
      unseen: new Uint8Array(length).fill(1),
    };
    batch.positions.forEach((place, row) => {
      padded.ids[place] = batch.ids[row];
      padded.unseen[place] = 0;
    });
    const states = (hidden: Tensor, rows: Int32Array) => take(hidden, tensor(rows)).toTypedArray();
    const ours = scope(() => states(model.forward(batch).hidden, starts));
    const theirs = scope(() => states(model.forward(padded).hidden, Int32Array.of(0, 8, 16, 24)));
    close(ours, theirs);
    model.dispose();
  });

  test("an encoder with too few positions or segments is refused before anything runs", () => {
    const config = parseObjective({ type: "mspp", ...shape });
    for (const [field, value, word] of [
      ["maxPositions", 31, "positions"],
      ["segmentVocabularySize", 2, "segment"],
    ] as const) {
      const model = createModel({ architecture: "ForMaskedLM", config: { ...encoder, [field]: value } });
      const frame = { model, vocabulary, maxLength: 32, batchTokens: 100, seed: 1 };
      expect(() => createObjective(config, frame)).toThrow(new RegExp(word));
      model.dispose();
    }
  });
});

describe("the classifier", () => {
  const classifierOf = (kind: (typeof jointKinds)[number]) =>
    createJointClassifier({ kind, hiddenSize: 16, candidates: 3, labels: 2 }, { seed: 4 }, 0.5);

  test.each(jointKinds)("%s gives a row for each candidate that there is, or for each query", (kind) => {
    const model = create();
    const classifier = classifierOf(kind);
    const joint = pack(texts);
    const logits = scope(() => classifier.logits(model.forward(joint.batch).hidden, joint).toArray());
    expect(logits).toHaveLength(kind.endsWith("-k") ? 4 : 2);
    expect(new Set((logits as number[][]).flat().map((value) => value.toFixed(5))).size).toBeGreaterThan(3);
    model.dispose();
    classifier.dispose();
  });

  test("a candidate's logits depend on the others beside it", () => {
    const model = create();
    const classifier = classifierOf("ie-k");
    const of = (list: JointTexts) => {
      const joint = pack([list]);
      return scope(() => classifier.logits(model.forward(joint.batch).hidden, joint).toTypedArray());
    };
    const [first] = texts;
    const other = of({ ...first, candidates: [first.candidates[0], [50], first.candidates[2]] });
    const before = of(first);
    expect(Math.abs(before[0] - other[0])).toBeGreaterThan(1e-4);
    expect(Math.abs(before[4] - other[4])).toBeGreaterThan(1e-4);
    model.dispose();
    classifier.dispose();
  });

  test("candidates that change places change logits only where segments and positions say nothing", () => {
    const classifier = classifierOf("ie-k");
    const [first] = texts;
    const turned = { ...first, candidates: [2, 0, 1].map((i) => first.candidates[i]) };
    for (const blind of [false, true]) {
      const model = create();
      if (blind) {
        for (const name of ["embeddings.position.weight", "embeddings.segment.weight"]) {
          const table = model.encoder.parameters.get(name)!;
          scope(() => copyInto(table, zeros(table.shape)));
        }
      }
      const of = (list: JointTexts) => {
        const joint = pack([list]);
        return scope(() => classifier.logits(model.forward(joint.batch).hidden, joint).toArray()) as number[][];
      };
      const [plain, moved] = [of(first), of(turned)];
      const furthest = Math.max(
        ...[2, 0, 1].flatMap((i, place) => moved[place].map((value, c) => Math.abs(value - plain[i][c]))),
      );
      if (blind) expect(furthest).toBeLessThan(1e-5);
      else expect(furthest).toBeGreaterThan(1e-3);
      model.dispose();
    }
    classifier.dispose();
  });

  test("ae-1 is the layers on the sum of all vectors, ae-k on the query's beside each", () => {
    const model = create();
    const joint = pack(texts);
    for (const kind of ["ae-1", "ae-k"] as const) {
      const classifier = classifierOf(kind);
      scope(() => {
        const { hidden } = model.forward(joint.batch);
        const vector = (block: number) =>
          take(hidden, tensor(Int32Array.of(joint.starts[block]))).toTypedArray() as Float32Array;
        const read = classifier.read(hidden, joint);
        if (kind === "ae-1") {
          close(read.toTypedArray(), [
            ...[0, 1, 2, 3].map(vector).reduce((a, b) => a.map((value, i) => value + b[i])),
            ...[4, 5].map(vector).reduce((a, b) => a.map((value, i) => value + b[i])),
          ]);
        } else {
          const rows = [1, 2, 3].map((i) => [...vector(0), ...vector(i)]).concat([[...vector(4), ...vector(5)]]);
          close(read.toTypedArray(), rows.flat());
        }
        close(classifier.logits(hidden, joint).toTypedArray(), classifier.classify(read).toTypedArray());
      });
      classifier.dispose();
    }
    model.dispose();
  });
});

// The id of a token says where it stands: document, paragraph.
const documents = memoryDocuments(
  Array.from({ length: 4 }, (_, d) => ({
    title: new Int32Array(0),
    sections: [[0, 1, 2].map((p) => ({ sentences: [0, 1, 2].map((s) => Int32Array.of(10 + d * 12 + p * 4 + s)) }))],
  })),
);
const placeOf = (id: number) => [Math.floor((id - 10) / 12), Math.floor(((id - 10) % 12) / 4)];

describe("the objective", () => {
  test("one candidate is of the query's paragraph, anywhere among them; two are of the document, the rest of others", () => {
    const right = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const config = { candidates: 5, hardNegatives: 2, firstSentences: 1, secondSentences: 1 };
      const { query, candidates, labels } = jointTexts(documents, seed % 4, randomSource(seed), config)!;
      const [document, paragraph] = placeOf(query[0]);
      expect(candidates).toHaveLength(5);
      candidates.forEach((ids, i) => {
        const same = placeOf(ids[0])[0] === document && placeOf(ids[0])[1] === paragraph;
        expect(labels[i]).toBe(Number(same));
      });
      expect(labels.filter((label) => label === 1)).toHaveLength(1);
      expect(candidates.filter((ids) => placeOf(ids[0])[0] === document)).toHaveLength(3);
      right.add(labels.indexOf(1));
    }
    expect(right.size).toBe(5);
  });

  test("the loss is both, weighted; what it trained beside the model is saved", () => {
    const model = create("ForMaskedLM");
    const make = (more: object) =>
      createObjective(parseObjective({ type: "joint-candidates", ...shape, ...more }), {
        model,
        vocabulary,
        maxLength: 32,
        batchTokens: 200,
        seed: 1,
      });
    const losses = [{}, { structureWeight: 0 }, { maskedLanguageWeight: 0 }].map((more) => {
      const objective = make(more);
      const batch = objective.draw!(documents, Int32Array.of(0, 1, 2, 3), randomSource(3));
      const loss = scope(() => sum(objective.loss(batch, { seed: 1, step: 0, training: false })).item());
      if (Object.keys(more).length === 0) objective.save?.(shared);
      objective.dispose();
      return loss;
    });
    expect(losses[0]).toBeCloseTo(losses[1] + losses[2], 4);
    expect(losses[2]).toBeGreaterThan(0.1);
    expect(jointFiles.settings(shared)).toEqual({ kind: "ie-k", candidates: 3, blockTokens: 8, labels: 2 });
    const shapeOf = (name: string) => jointFiles.weights(shared, (load) => scope(() => load(name).shape));
    expect(shapeOf("output.weight")).toEqual([2, 16]);
    model.dispose();
  });

  test("documents without several candidates are a coded error", () => {
    const model = create("ForMaskedLM");
    const frame = { model, vocabulary, maxLength: 32, batchTokens: 200, seed: 1 };
    const objective = createObjective(parseObjective({ type: "mspp", ...shape }), frame);
    const lone = memoryDocuments([
      { title: new Int32Array(0), sections: [[{ sentences: [Int32Array.of(9), Int32Array.of(8)] }]] },
    ]);
    expect(() => objective.draw!(lone, Int32Array.of(0), randomSource(1))).toThrow(/several candidates/);
    objective.dispose();
    model.dispose();
  });
});
