import { add, concat, linear, permute, reshape, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { convolveTokens, targetRows } from "../../encoder/mixers/text-convolution.js";
import { ClozeError } from "../../errors.js";
import { checkWidth, loadWeights, settingsOf } from "./module-settings.js";
import type { TokenModule, TokenModuleKind } from "./token-module.js";

const schema = z.looseObject({
  out_channels: z.int().positive().default(256),
  kernel_sizes: z.array(z.int().positive()).min(1).default([1, 3, 5]),
  stride_sizes: z.array(z.int().positive()).nullish(),
});

/**
 * PyTorch's `nn.Conv1d` of several widths over each sequence, side by side, with zeros beyond its ends. Kernels of even width,
 * and strides, give another number of vectors than there are tokens, and are refused.
 */
export const cnnModule: TokenModuleKind = {
  type: "CNN",
  path: "models.CNN",
  file: "cnn_config.json",
  load(config, width, weight): TokenModule {
    const settings = settingsOf("CNN", config, schema);
    const { out_channels: channels, kernel_sizes: kernels, stride_sizes: strides } = settings;
    checkWidth("CNN", settings, ["in_embedding_dimension", "in_word_embedding_dimension"], width);
    if (kernels.some((kernel) => kernel % 2 === 0) || strides?.some((stride) => stride !== 1)) {
      throw new ClozeError("EMBEDDER_MODULE", "A CNN gives another number of vectors than there are tokens", {
        expected: "kernels of odd width, and strides of 1",
        received: `kernel_sizes ${kernels.join()}, stride_sizes ${strides?.join() ?? "none"}`,
        remedy: "Train the module anew with such kernels, or leave it out of modules.json.",
      });
    }
    const shapes = kernels.flatMap((taps, k): [string, number[]][] => [
      [`convs.${k}.weight`, [channels, width, taps]],
      [`convs.${k}.bias`, [channels]],
    ]);
    const parameters = loadWeights("CNN", new Map(shapes), weight);
    const convolutions = kernels.map((taps, k) => ({
      taps,
      weight: parameters.get(`convs.${k}.weight`) as Tensor,
      bias: parameters.get(`convs.${k}.bias`) as Tensor,
    }));
    return {
      type: "CNN",
      width: kernels.length * channels,
      parameters,
      forward(x, { offsets }) {
        if (x.shape[0] === 0) return tensor(new Float32Array(0), [0, kernels.length * channels]);
        // Each token times each tap of each kernel, added up where it belongs.
        const matrices = convolutions.map((one) =>
          reshape(permute(one.weight, [2, 0, 1]), [one.taps * channels, width]),
        );
        const biases = convolutions.map(({ bias }) => bias);
        const products = linear(x, concat(matrices, 0));
        return add(convolveTokens(products, targetRows(offsets, kernels), kernels, channels), concat(biases, 0));
      },
      config: () => ({
        // New readers know this old name too.
        in_word_embedding_dimension: width,
        out_channels: channels,
        kernel_sizes: kernels,
        stride_sizes: kernels.map(() => 1),
      }),
    };
  },
};
