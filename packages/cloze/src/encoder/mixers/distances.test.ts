import { copyInto, mul, scope, tensor, zeros } from "@cloze/tensor";
import fc from "fast-check";
import { expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { createModel } from "../../families/index.js";
import { uniformEncoder } from "../config.js";
import { bucketOf } from "./disentangled-attention.js";
import { biasBucket, pairBucket } from "./relative-bias-attention.js";
import { relativeShift } from "./relative-shift.js";

test("scores by distance become scores by place", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 3 }), (length, heads) => {
      const width = 2 * length - 1;
      const x = Float32Array.from({ length: heads * length * width }, (_, i) => i);
      const y = relativeShift(tensor(x, [heads, length, width])).toTypedArray();
      for (let h = 0; h < heads; h++) {
        for (let i = 0; i < length; i++) {
          for (let j = 0; j < length; j++) {
            expect(y[(h * length + i) * length + j]).toBe(x[(h * length + i) * width + j - i + length - 1]);
          }
        }
      }
    }),
  );
});

test("buckets: exact when near, growing with the distance, opposite for the other side", () => {
  for (const [buckets, maxDistance] of [
    [256, 512],
    [8, 48],
    [6, 47],
  ]) {
    let last = 0;
    for (let distance = 1; distance < maxDistance; distance++) {
      const bucket = bucketOf(distance, buckets, maxDistance);
      if (distance <= buckets / 2) expect(bucket).toBe(distance);
      expect(bucket).toBeGreaterThanOrEqual(last);
      expect(bucket).toBeLessThan(buckets);
      expect(bucketOf(-distance, buckets, maxDistance)).toBe(-bucket);
      last = bucket;
    }
  }
  expect(bucketOf(-77, 0, 512)).toBe(-77);
});

test("bias buckets: a half of them for each side, the farthest share the last", () => {
  expect([0, -1, -7, 1, 7].map((distance) => biasBucket(distance, 32, 128))).toEqual([0, 1, 7, 17, 23]);
  expect(biasBucket(-8, 32, 128)).toBe(8);
  expect(biasBucket(-1000, 32, 128)).toBe(15);
  expect(biasBucket(1000, 32, 128)).toBe(31);
});

test("reset buckets: off the first row and column the table is that of distances; there it is one number each", () => {
  const length = 300;
  for (let query = 0; query < length; query += 7) {
    for (let key = 0; key < length; key += key < 10 ? 1 : 11) {
      const bucket = pairBucket(query, key, 32, 128, true);
      if (key === 0) expect(bucket).toBe(32);
      else if (query === 0) expect(bucket).toBe(16);
      else {
        expect(bucket).toBe(biasBucket(key - query, 32, 128));
        // Nothing else has what [CLS] has.
        expect([16, 32]).not.toContain(bucket);
      }
      expect(pairBucket(query, key, 32, 128, false)).toBe(biasBucket(key - query, 32, 128));
    }
  }
});

test("disentangled attention whose distances are 0 is attention of contents with the scale 1 / sqrt(3 size)", () => {
  const layersOf = (mixer: object) => ({
    ...uniformEncoder({ vocabularySize: 30, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 12, dropout: 0 }),
    initializerRange: 0.3,
    layers: [{ mixer: { heads: 2, dropout: 0, ...mixer }, channel: { type: "mlp", intermediateSize: 32 }, dropout: 0 }],
  });
  const create = (mixer: object) => createModel({ architecture: "Model", config: layersOf(mixer) as never, seed: 4 });
  const [theirs, plain] = [create({ type: "disentangled-attention", maxDistance: 4 }), create({ type: "attention" })];
  scope(() => {
    const [, distances] = [...theirs.encoder.parameters].find(([name]) => name.endsWith("distances.weight"))!;
    copyInto(distances, zeros(distances.shape));
    for (const [name, value] of plain.encoder.parameters) {
      const source = theirs.encoder.parameters.get(name)!;
      // Queries are the first third of the rows.
      const scale = tensor(
        Float32Array.from({ length: value.shape[0] }, (_, row) => (row < value.shape[0] / 3 ? 1 / Math.sqrt(3) : 1)),
        value.rank === 1 ? [value.shape[0]] : [value.shape[0], 1],
      );
      copyInto(value, name.includes("queryKeyValue") ? mul(source, scale) : source);
    }
  });
  const batch = packSequences([{ ids: [3, 9, 14, 7, 22, 5] }, { ids: [8, 2] }]);
  const [a, b] = [theirs, plain].map((model) => scope(() => model.forward(batch).hidden.toTypedArray()));
  expect(Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])))).toBeLessThan(2e-5);
  for (const model of [theirs, plain]) model.dispose();
});
