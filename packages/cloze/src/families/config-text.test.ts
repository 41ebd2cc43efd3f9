import fc from "fast-check";
import { expect, test } from "vitest";
import { configText } from "./config-text.js";

test("whole numbers of fractional fields keep their point; labels and sizes stay as they are", () => {
  const text = configText({
    hidden_dropout_prob: 0,
    layer_norm_eps: 1e-12,
    initializer_cutoff_factor: 2,
    hidden_size: 768,
    rope_parameters: { full_attention: { rope_theta: 160000, rope_type: "default" } },
    label2id: { "interest rate": 1, beta: 0 },
    note: "\u00002.0\u0000",
  });
  for (const line of [
    '"hidden_dropout_prob": 0.0,',
    '"layer_norm_eps": 1e-12,',
    '"initializer_cutoff_factor": 2.0,',
    '"hidden_size": 768,',
    '"rope_theta": 160000.0,',
    '"interest rate": 1,',
    '"beta": 0',
  ]) {
    expect(text).toContain(line);
  }
});

test("what is written reads as what it was", () => {
  const key = fc.oneof(fc.string(), fc.constantFrom("dropout", "eps", "rope_theta", "label2id"));
  fc.assert(
    fc.property(fc.dictionary(key, fc.jsonValue()), (config) => {
      expect(JSON.parse(configText(config))).toEqual(JSON.parse(JSON.stringify(config)));
    }),
  );
});
