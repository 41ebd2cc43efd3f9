import { describe, expect, test } from "vitest";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { freezeParameters, parameterGroups } from "./parameter-groups.js";
import { scheduleOf, warmupShapes } from "./warmup-shapes.js";

const config = uniformEncoder({ vocabularySize: 8, hiddenSize: 4, layers: 2, heads: 1, maxPositions: 4 });
const make = () => createModel({ architecture: "ForSequenceClassification", config, labels: 2, seed: 1 });

describe("groups", () => {
  test("each layer learns slower than the one above it, and every parameter once", () => {
    const model = make();
    const groups = parameterGroups(model.parameters, 2, { learningRate: 1, weightDecay: 0.01, layerDecay: 0.5 });
    const rates = new Map(
      groups.flatMap(({ parameters, learningRate }) => [...parameters].map(([n]) => [n, learningRate])),
    );
    expect([...rates.keys()].sort()).toEqual([...model.parameters.keys()].sort());
    expect(rates.get("head.classifier.weight")).toBe(1);
    expect(rates.get("head.pooler.bias")).toBe(1);
    expect(rates.get("encoder.layers.1.mixer.output.weight")).toBe(0.5);
    expect(rates.get("encoder.layers.0.mixer.output.weight")).toBe(0.25);
    expect(rates.get("encoder.embeddings.word.weight")).toBe(0.125);
    expect(groups[0].learningRate).toBe(1);
    for (const { parameters, weightDecay } of groups) {
      for (const [name] of parameters)
        expect([name, weightDecay]).toEqual([name, /bias$|[nN]orm\.weight$/.test(name) ? 0 : 0.01]);
    }
    model.dispose();
  });
  test("patterns: *, ? and {a,b}, and nothing else", () => {
    const frozenBy = (...patterns: string[]): string[] => {
      const model = make();
      const trained = freezeParameters(model, patterns);
      const frozen = [...model.parameters.keys()].filter((name) => !trained.has(name));
      model.dispose();
      return frozen;
    };
    const all = (pattern: RegExp) => [...make().parameters.keys()].filter((name) => pattern.test(name));
    expect(frozenBy("encoder.layers.?.mixer.*.bias")).toEqual(all(/^encoder\.layers\.\d\.mixer\..*\.bias$/));
    expect(frozenBy("encoder.{embeddings,layers.0}.*")).toEqual(all(/^encoder\.(embeddings|layers\.0)\./));
    expect(frozenBy("head.*", "encoder.embeddings.*")).toEqual(all(/^head\.|^encoder\.embeddings\./));
    expect(() => frozenBy("encoder.layers.[01].*")).toThrow(expect.objectContaining({ code: "FREEZE_UNMATCHED" }));
  });
});

describe("learning rates", () => {
  const rates = (shape: (typeof warmupShapes)[number]) =>
    Array.from({ length: 100 }, (_, step) => scheduleOf(shape, 100, 0.1)(step));
  test.each(warmupShapes)("%s rises over the warm-up to 1", (shape) => {
    const all = rates(shape);
    const top = all.indexOf(Math.max(...all));
    expect(top).toBeLessThanOrEqual(10);
    expect(all[top]).toBeCloseTo(1);
    expect(all[0]).toBeLessThan(0.05);
    for (let step = 1; step <= top; step++) expect(all[step]).toBeGreaterThan(all[step - 1]);
  });
  test("and goes on as its name says", () => {
    expect(rates("constant").slice(10)).toEqual(new Array(90).fill(1));
    expect(rates("linear")[55]).toBeCloseTo(0.5);
    expect(rates("cosine")[55]).toBeCloseTo(0.5);
    expect(rates("cosine")[30]).toBeGreaterThan(rates("linear")[30]);
    expect(rates("inverse-square-root")[40]).toBeCloseTo(Math.sqrt(10 / 40));
    expect(rates("one-cycle")[99]).toBeLessThan(1e-4);
    // As transformers: the number of warm-up steps is rounded down.
    expect(scheduleOf("linear", 25, 0.1)(2)).toBe(1);
  });
});
