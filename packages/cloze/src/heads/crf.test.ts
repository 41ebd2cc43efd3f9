import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backward, createAdamW, decayGroups, scope, tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { checkTags, type TagScheme, tagSchemes, writeTags } from "../data/readers/index.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, loadModel, type Model, saveModel } from "../families/index.js";
import { allowedTransitions, packedCrfLoss, viterbi } from "./crf.js";

const numbers = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => 2 * Math.sin(seed * 78.233 + i * 12.9898));

function* labellings(tokens: number, labels: number): Generator<number[]> {
  for (let code = 0; code < labels ** tokens; code++)
    yield Array.from({ length: tokens }, (_, t) => Math.floor(code / labels ** t) % labels);
}

test("Viterbi finds the best of all labellings, with and without constraints", () => {
  const [tokens, labels] = [4, 3];
  for (let seed = 1; seed < 20; seed++) {
    const emissions = numbers(tokens * labels, seed);
    const transitions = numbers((labels + 2) * labels, seed + 50);
    const allowed = Uint8Array.from(numbers((labels + 2) * labels, seed + 99), (x) => Number(x > -1.2));
    for (const options of [{}, { transitions }, { transitions, allowed }, { allowed }]) {
      let best: number[] = [];
      let highest = Number.NEGATIVE_INFINITY;
      for (const path of labellings(tokens, labels)) {
        const places = [
          labels * labels + path[0],
          ...path.slice(1).map((label, t) => path[t] * labels + label),
          (labels + 1) * labels + path[tokens - 1],
        ];
        if ("allowed" in options && places.some((place) => options.allowed?.[place] === 0)) continue;
        const score =
          path.reduce((total, label, t) => total + emissions[t * labels + label], 0) +
          ("transitions" in options ? places.reduce((total, place) => total + transitions[place], 0) : 0);
        if (score > highest) [highest, best] = [score, path];
      }
      if (best.length > 0) expect(Array.from(viterbi(emissions, labels, options))).toEqual(best);
    }
  }
  expect(viterbi([], 3)).toHaveLength(0);
});

test("constraints are the scheme's: whatever is decoded has no faults, and what the scheme can write is allowed", () => {
  const names: Record<TagScheme, string[]> = {
    BIO: ["O", "B-A", "I-A", "B-B", "I-B"],
    IOB1: ["O", "B-A", "I-A", "B-B", "I-B"],
    BIOES: ["O", "B-A", "I-A", "E-A", "S-A", "B-B", "I-B", "E-B", "S-B"],
    BILOU: ["O", "B-A", "I-A", "L-A", "U-A", "B-B", "I-B", "L-B", "U-B"],
  };
  for (const scheme of tagSchemes) {
    const labels = names[scheme].length;
    const allowed = allowedTransitions(names[scheme], scheme) as Uint8Array;
    let changed = 0;
    for (let seed = 1; seed < 60; seed++) {
      const emissions = numbers(7 * labels, seed);
      const tags = Array.from(viterbi(emissions, labels, { allowed }), (label) => names[scheme][label]);
      expect(checkTags(tags, scheme)).toEqual([]);
      if (
        checkTags(
          Array.from(viterbi(emissions, labels), (label) => names[scheme][label]),
          scheme,
        ).length > 0
      )
        changed++;
    }
    expect(changed).toBeGreaterThan(10);
    const spans = [
      { start: 0, end: 1, label: "A" },
      { start: 1, end: 3, label: "A" },
      { start: 3, end: 6, label: "B" },
      { start: 7, end: 8, label: "B" },
    ];
    const tags = writeTags(8, spans, scheme).map((tag) => names[scheme].indexOf(tag));
    const wanted = tags.flatMap((label) => Array.from({ length: labels }, (_, j) => (j === label ? 1 : 0)));
    expect(Array.from(viterbi(wanted, labels, { allowed }))).toEqual(tags);
  }
  expect(allowedTransitions(["NOUN", "VERB"], "BIO")).toBeUndefined();
});

test("tokens that are not asked are passed over", () => {
  scope(() => {
    const emissions = tensor(Float32Array.from(numbers(6 * 2, 3)), [6, 2]);
    const rules = tensor(Float32Array.from(numbers(4 * 2, 4)), [4, 2]);
    const loss = (rows: number[], labels: number[], offsets: number[]) =>
      packedCrfLoss(
        tensor(
          rows.flatMap((row) => (emissions.toArray() as number[][])[row]),
          [rows.length, 2],
        ),
        rules,
        Int32Array.from(offsets),
        Int32Array.from(labels),
      ).item();
    const all = loss([0, 1, 2, 3, 4, 5], [-100, 1, -100, 0, 1, -100], [0, 4, 6]);
    expect(all).toBeCloseTo(loss([1, 3, 4], [1, 0, 1], [0, 2, 3]), 5);
    expect(loss([0, 1], [-100, -100], [0, 2])).toBe(0);
    expect(() => packedCrfLoss(emissions, rules, Int32Array.of(0, 6), new Int32Array(6), new Float32Array(2))).toThrow(
      expect.objectContaining({ code: "CONFIG_UNSUPPORTED" }),
    );
  });
});

test("a head learns what only neighbours tell, and is saved", () => {
  // Tokens 3 and 4 look alike to the encoder (no positions, no mixing): only the label before tells them apart.
  const config = {
    ...uniformEncoder({ vocabularySize: 6, hiddenSize: 8, layers: 1, heads: 1, dropout: 0 }),
    embeddings: { type: "tokens" as const, positions: "none" as const, dropout: 0 },
    layers: [],
  };
  const batch = packSequences([{ ids: [1, 3, 3, 2, 3] }, { ids: [2, 3, 1, 3] }, { ids: [1, 3] }]);
  const labels = Int32Array.of(0, 1, 1, 2, 3, 2, 3, 0, 1, 0, 1);
  const train = (crf: boolean): { model: Model; right: number } => {
    const model = createModel({ architecture: "ForTokenClassification", config, labels: 4, dropout: 0, crf });
    const optimizer = createAdamW(decayGroups(model.parameters, { learningRate: 0.1, weightDecay: 0 }));
    for (let step = 0; step < 60; step++) {
      scope(() => {
        const { loss } = model.forward(batch, { labels, training: true, seed: step });
        if (loss === undefined) throw new Error("no loss");
        backward(loss);
      });
      optimizer.step();
      optimizer.zeroGrad();
    }
    optimizer.dispose();
    return { model, right: correct(model) };
  };
  const correct = (model: Model): number =>
    scope(() => {
      const { logits, transitions } = model.forward(batch);
      const [emissions, rules] = [logits?.toTypedArray() ?? [], transitions?.toTypedArray()];
      let count = 0;
      for (let s = 0; s + 1 < batch.offsets.length; s++) {
        const [start, end] = [batch.offsets[s], batch.offsets[s + 1]];
        const path = viterbi(Array.from(emissions).slice(4 * start, 4 * end), 4, { transitions: rules });
        path.forEach((label, t) => {
          if (label === labels[start + t]) count++;
        });
      }
      return count;
    });
  const chained = train(true);
  expect(chained.right).toBe(11);
  const plain = train(false);
  expect(plain.right).toBeLessThan(11);
  const folder = mkdtempSync(join(tmpdir(), "cloze-crf-"));
  saveModel(chained.model, folder);
  const again = loadModel(folder);
  expect(again.source?.model_type).toBe("cloze");
  expect(correct(again)).toBe(11);
  for (const model of [chained.model, plain.model, again]) model.dispose();
  rmSync(folder, { recursive: true });
});
