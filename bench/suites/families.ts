import { noGrad, scope } from "@cloze/tensor";
import { compile, createModel, type EncoderConfigInput, packSequences, uniformEncoder } from "cloze";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { fullBatch, raggedBatch } from "../workload.js";

const heads = 12;
const plain = uniformEncoder({ vocabularySize: 30522, hiddenSize: 384, layers: 6, heads, maxPositions: 512 });
const [first] = plain.layers;

/** Six layers of 384 whose mixer, or something beside it, is another. */
const layersWith = (mixer: object, more: object = {}): EncoderConfigInput => ({
  ...plain,
  layers: plain.layers.map((layer) => ({ ...layer, mixer, ...more })) as EncoderConfigInput["layers"],
});
const disentangled = { type: "disentangled-attention", heads, maxDistance: 512, buckets: 256, shareMatrices: true };
const groups = { type: "grouped", groups: 2 };
/** What is special about the layers of model types. */
const works: Readonly<Record<string, EncoderConfigInput>> = {
  bert: plain,
  gpt2: { ...layersWith({ type: "attention", heads, causal: true }), normPosition: "pre" },
  fnet: layersWith({ type: "fourier" }),
  convbert: layersWith({ type: "convolution-attention", heads: heads / 2 }),
  "convbert in groups": layersWith(
    { type: "convolution-attention", heads: heads / 2 },
    { channel: { ...first.channel, weights: { input: groups, output: groups } } },
  ),
  "deberta-v2": layersWith(disentangled),
  "deberta-v2 with a convolution": {
    ...layersWith(disentangled),
    layers: plain.layers.map((layer, i) => ({
      ...layer,
      mixer: disentangled,
      ...(i === 0 ? { parallel: { type: "convolution", kernels: [3], activation: "gelu" } } : {}),
    })) as EncoderConfigInput["layers"],
  },
  nystromformer: layersWith({ type: "nystrom", heads, landmarks: 64 }),
};
const batches = [
  { name: "16x64", ids: () => fullBatch(16, 64) },
  { name: "8x128", ids: () => fullBatch(8, 128) },
  { name: "ragged", ids: raggedBatch },
];

/** Plans of model types, in float32 and in 8 bits, beside the engine on the same model. */
export async function families({ peersOnly, only }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  if (peersOnly) return rows;
  for (const [type, config] of Object.entries(works)) {
    const chosen = batches
      .map((batch) => ({ ...batch, title: `${type} 6x384 ${batch.name}` }))
      .filter(({ title }) => title.includes(only));
    if (chosen.length === 0) continue;
    const model = createModel({ architecture: "Model", config, seed: 1 });
    const plans = [compile(model), compile(model, { weights: "int8" })];
    for (const { title, ids } of chosen) {
      const batch = packSequences(ids().map((each) => ({ ids: each })));
      if (!plans[0].takes(batch)) continue;
      const engine = {
        ...harness.ourContender({ run: () => scope(() => noGrad(() => void model.encoder.forward(batch))) }),
        name: "cloze's engine",
      };
      const [exact, coded] = plans.map((plan) =>
        harness.ourContender({
          run: async () => {
            await plan.run(batch);
          },
        }),
      );
      const all = [exact, { ...coded, name: "int8" }, engine];
      const medians = await harness.interleave(all, { seconds: 1, rest: 0 });
      const engineTime = [engine.name, medians.get(engine.name) as number] as const;
      for (const [weights, key] of [
        ["float32", "ours"],
        ["int8", "int8"],
      ] as const) {
        const both = new Map([["ours", medians.get(key) as number], engineTime]);
        rows.push(...harness.rowsOf("families", `${title} ${weights}`, both));
      }
    }
    for (const plan of plans) plan.close();
    model.dispose();
  }
  return rows;
}
