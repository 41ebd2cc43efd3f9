import { backward, noGrad, scope, sum } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { createEncoder } from "./encoder.js";

const batch = packSequences([{ ids: [5, 6, 7, 5] }, { ids: [7, 8] }]);
const create = (positions: "gated" | "none", wordDropout: number, layers = 0) =>
  createEncoder(
    {
      vocabularySize: 10,
      hiddenSize: 16,
      maxPositions: 8,
      segmentVocabularySize: 0,
      embeddings: { positions, norm: false, dropout: 0, wordDropout, sparse: true },
      normPosition: "pre",
      finalNorm: false,
      residualInit: "zero",
      layers: Array.from({ length: layers }, () => ({
        mixer: { type: "attention", heads: 2 },
        channel: { type: "mlp", intermediateSize: 8 },
      })),
    },
    { seed: 1 },
  );
const hidden = (encoder: ReturnType<typeof create>, options = {}) =>
  scope(() => noGrad(() => encoder.forward(batch, options).hidden.toTypedArray()));

test("gates start at 1: gated equals ungated, and a gate scales the words at its position", () => {
  const [gated, plain] = [create("gated", 0), create("none", 0)];
  expect(hidden(gated)).toEqual(hidden(plain));
  const gates = gated.parameters.get("embeddings.gate.weight");
  if (gates === undefined) throw new Error("no gates");
  const values = gates.toTypedArray();
  values.fill(2, 16, 32);
  gates.storage.backend.write(values, gates.pointer);
  const [before, after] = [hidden(plain), hidden(gated)];
  before.forEach((value, i) => {
    const position = batch.positions[Math.floor(i / 16)];
    expect(after[i]).toBeCloseTo(position === 1 ? 2 * value : value, 6);
  });
});

describe.each(["gated", "none"] as const)("word dropout, positions %s", (positions) => {
  test("leaves whole words out while training, by the seed, and never otherwise", () => {
    const encoder = create(positions, 0.5);
    const rows = (seed: number) => {
      const values = hidden(encoder, { training: true, seed });
      return Array.from(batch.ids, (_, t) => values.subarray(16 * t, 16 * t + 16).some((value) => value !== 0));
    };
    const share = Array.from({ length: 200 }, (_, seed) => rows(seed)).flat();
    expect(share.filter(Boolean).length / share.length).toBeCloseTo(0.5, 1);
    expect(rows(3)).toEqual(rows(3));
    expect(hidden(encoder)).toEqual(hidden(create(positions, 0)));
  });

  test("a word that was left out gets no gradient, the others do", () => {
    const encoder = create(positions, 0.5);
    const word = encoder.parameters.get("embeddings.word.weight");
    scope(() => backward(sum(encoder.forward(batch, { training: true, seed: 4 }).hidden)));
    const values = hidden(encoder, { training: true, seed: 4 });
    const seen = new Set(Array.from(batch.ids).filter((_, t) => values[16 * t] !== 0));
    const gradient = word?.grad?.toTypedArray();
    for (const id of [5, 6, 7, 8]) expect(gradient?.[16 * id] !== 0).toBe(seen.has(id));
  });
});

test("layers that start at zero pass the embeddings through, and depth runs the first ones only", () => {
  const deep = create("gated", 0, 2);
  expect(hidden(deep)).toEqual(hidden(create("gated", 0)));
  for (const [name, parameter] of deep.parameters) {
    if (!name.startsWith("layers.")) continue;
    const values = parameter.toTypedArray().fill(0.1);
    parameter.storage.backend.write(values, parameter.pointer);
  }
  expect(hidden(deep)).not.toEqual(hidden(deep, { depth: 1 }));
  expect(hidden(deep, { depth: 0 })).toEqual(hidden(create("gated", 0)));
});
