import { concat, linear, lstm, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { checkWidth, loadWeights, settingsOf } from "./module-settings.js";
import type { TokenModule, TokenModuleKind } from "./token-module.js";

const schema = z.looseObject({
  hidden_dim: z.int().positive(),
  num_layers: z.int().positive().default(1),
  dropout: z.number().default(0),
  bidirectional: z.boolean().default(true),
});

/** Layers of PyTorch's `nn.LSTM` over each sequence, by the names of its weights. Its dropout is kept, not applied. */
export const lstmModule: TokenModuleKind = {
  type: "LSTM",
  path: "models.LSTM",
  file: "lstm_config.json",
  load(config, width, weight): TokenModule {
    const settings = settingsOf("LSTM", config, schema);
    const { hidden_dim: units, num_layers: layers, dropout, bidirectional } = settings;
    checkWidth("LSTM", settings, ["embedding_dimension", "word_embedding_dimension"], width);
    const ends = bidirectional ? ["", "_reverse"] : [""];
    const keysOf = (name: string, layer: number): string[] => ends.map((end) => `encoder.${name}_l${layer}${end}`);
    const shapes = Array.from({ length: layers }, (_, layer) => ({
      weight_ih: [4 * units, layer === 0 ? width : ends.length * units],
      weight_hh: [4 * units, units],
      bias_ih: [4 * units],
      bias_hh: [4 * units],
    })).flatMap((own, layer) =>
      Object.entries(own).flatMap(([name, shape]) => keysOf(name, layer).map((key) => [key, shape] as const)),
    );
    const parameters = loadWeights("LSTM", new Map(shapes), weight);
    /** A weight of each direction of a layer. */
    const both = (name: string, layer: number): Tensor[] =>
      keysOf(name, layer).map((key) => parameters.get(key) as Tensor);
    const cells = Array.from({ length: layers }, (_, layer) => ({
      input: both("weight_ih", layer),
      recurrent: both("weight_hh", layer),
      inputBias: both("bias_ih", layer),
      recurrentBias: both("bias_hh", layer),
    }));
    const below = (parts: readonly Tensor[]): Tensor => (parts.length === 1 ? parts[0] : concat(parts, 0));
    return {
      type: "LSTM",
      width: ends.length * units,
      parameters,
      forward: (x, { offsets }) =>
        x.shape[0] === 0
          ? tensor(new Float32Array(0), [0, ends.length * units])
          : cells.reduce(
              (states, { input, recurrent, inputBias, recurrentBias }) =>
                lstm(linear(states, below(input), below(inputBias)), below(recurrent), tensor(offsets), {
                  bias: below(recurrentBias),
                  direction: bidirectional ? "both" : "forward",
                }),
              x,
            ),
      config: () => ({
        // New readers know this old name too.
        word_embedding_dimension: width,
        hidden_dim: units,
        num_layers: layers,
        dropout,
        bidirectional,
      }),
    };
  },
};
