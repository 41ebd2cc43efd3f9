import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createModel, loadModel, saveModel } from "./index.js";

test.each([8, null])("a new encoder with %s landmarks is saved as one that transformers has", (landmarks) => {
  const folder = mkdtempSync(join(tmpdir(), "cloze-nystrom-"));
  try {
    const model = createModel({
      architecture: "ForSequenceClassification",
      labels: 3,
      pooler: { activation: "geluTanh", dropout: 0.1 },
      config: {
        vocabularySize: 9,
        hiddenSize: 8,
        maxPositions: 35,
        padId: 1,
        embeddings: { positionOffset: 2 },
        normEpsilon: 1e-5,
        layers: [
          {
            mixer: { type: "nystrom", heads: 2, landmarks, start: "batch", kernelSize: 5 },
            channel: { type: "mlp", intermediateSize: 8, activation: "geluTanh" },
          },
        ],
      },
    });
    saveModel(model, folder);
    const json = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    expect(json).toMatchObject({ model_type: "nystromformer", max_position_embeddings: 35, conv_kernel_size: 5 });
    expect(json.segment_means_seq_len).toBe(landmarks === null ? json.num_landmarks : 32);
    const again = loadModel(folder);
    expect(again.config).toEqual(model.config);
    again.dispose();
    model.dispose();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
