import { concat, linear, lstm, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { checkWidth, settingsOf } from "./module-settings.js";
import type { TokenModule, TokenModuleKind } from "./token-module.js";

/** sentence-transformers 6 renamed the first field. */
const schema = z
  .looseObject({
    embedding_dimension: z.int().positive().optional(),
    word_embedding_dimension: z.int().positive().optional(),
    hidden_dim: z.int().positive(),
    num_layers: z.int().positive().default(1),
    dropout: z.number().default(0),
    bidirectional: z.boolean().default(true),
  })
  .refine((config) => (config.embedding_dimension ?? config.word_embedding_dimension) !== undefined, {
    error: "no embedding_dimension",
  });

/** Layers of PyTorch's `nn.LSTM` over each sequence, by the names of its weights. Its dropout is kept, not applied. */
export const lstmModule: TokenModuleKind = {
  type: "LSTM",
  path: "models.LSTM",
  file: "lstm_config.json",
  load(config, width, weight): TokenModule {
    const settings = settingsOf("LSTM", config, schema);
    const { hidden_dim: units, num_layers: layers, dropout, bidirectional } = settings;
    checkWidth("LSTM", (settings.embedding_dimension ?? settings.word_embedding_dimension) as number, width);
    const parameters = new Map<string, Tensor>();
    const ends = bidirectional ? ["", "_reverse"] : [""];
    /** A weight of each direction of a layer. */
    const load = (name: string, layer: number): Tensor[] =>
      ends.map((end) => {
        const key = `encoder.${name}_l${layer}${end}`;
        const value = weight(key).keep("weights").requireGrad();
        parameters.set(key, value);
        return value;
      });
    const cells = Array.from({ length: layers }, (_, layer) => ({
      input: load("weight_ih", layer), // [4 units, width] each
      recurrent: load("weight_hh", layer), // [4 units, units]
      inputBias: load("bias_ih", layer), // [4 units]
      recurrentBias: load("bias_hh", layer),
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
