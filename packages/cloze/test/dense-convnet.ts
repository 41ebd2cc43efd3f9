// The plain twin of convolutional encoders on active places: whole maps, dense convolutions, and a mask that multiplies what
// every operation gives, as SparK's own code has it.
import {
  add,
  conv2d,
  gelu,
  layerNorm,
  linear,
  maximum,
  mul,
  pad,
  permute,
  relu,
  rsqrt,
  slice,
  sub,
  sum,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { type ActiveMask, activeAt } from "../src/vision/active-mask.js";
import type { Convnet } from "../src/vision/convnet.js";

/** Dense maps [images, height, width, channels] of each stage, with zeros where the mask says. */
export function denseStages(net: Convnet, pixels: Tensor, active: ActiveMask | undefined, training = false): Tensor[] {
  const named = (name: string): Tensor => {
    const found = net.parameters.get(name) ?? net.statistics.get(name);
    if (found === undefined) throw new Error(name);
    return found;
  };
  const maskFor = (x: Tensor): Tensor | undefined => {
    const [images, height, width] = x.shape;
    return active && tensor(Float32Array.from(activeAt(active, height, width)), [images, height, width, 1]);
  };
  const masked = (x: Tensor): Tensor => {
    const mask = maskFor(x);
    return mask === undefined ? x : mul(x, mask);
  };
  const convolution = (x: Tensor, name: string, stride: number, padding: number, groups = 1): Tensor => {
    const bias = net.parameters.get(`${name}.bias`);
    return masked(conv2d(x, named(`${name}.weight`), { stride, padding, groups, bias, channels: "last" }));
  };
  const batchNorm = (x: Tensor, name: string): Tensor => {
    const [images, height, width] = x.shape;
    let [mean, variance] = [named(`${name}.running_mean`), named(`${name}.running_var`)];
    if (training) {
      const count = active ? activeAt(active, height, width).reduce((a, b) => a + b, 0) : images * height * width;
      mean = mul(sum(x, [0, 1, 2]), 1 / count);
      const centred = masked(sub(x, mean));
      variance = mul(sum(mul(centred, centred), [0, 1, 2]), 1 / count);
    }
    const unit = mul(sub(x, mean), rsqrt(add(variance, 1e-5)));
    return masked(add(mul(unit, named(`${name}.weight`)), named(`${name}.bias`)));
  };
  const norm = (x: Tensor, name: string): Tensor =>
    masked(layerNorm(x, named(`${name}.weight`), named(`${name}.bias`), { epsilon: 1e-6 }));
  const unit = (x: Tensor, name: string, stride: number): Tensor => {
    const side = named(`${name}.convolution.weight`).shape[2];
    return batchNorm(convolution(x, `${name}.convolution`, stride, side >> 1), `${name}.normalization`);
  };
  const pool = (x: Tensor): Tensor => {
    const [, height, width, channels] = x.shape;
    const wide = pad(x, [
      [0, 0],
      [1, 1],
      [1, 1],
      [0, 0],
    ]);
    const one = tensor(new Float32Array(channels).fill(1), [channels, 1, 1, 1]);
    const shifted = Array.from({ length: 9 }, (_, i) => {
      const [top, left] = [Math.floor(i / 3), i % 3];
      const part = slice(wide, [{}, { start: top, end: top + height }, { start: left, end: left + width }]);
      return conv2d(part, one, { stride: 2, groups: channels, channels: "last" });
    });
    return masked(shifted.reduce((a, b) => maximum(a, b)));
  };
  const { config } = net;
  let x = masked(permute(pixels, [0, 2, 3, 1]));
  if (config.type === "resnet") {
    x = relu(unit(x, "embedder.embedder", config.stem.stride));
    if (config.stem.pool) x = pool(x);
    return config.stages.map(({ depth, stride = undefined }, s) => {
      for (let l = 0; l < depth; l++) {
        const name = `encoder.stages.${s}.layers.${l}`;
        const step = l > 0 ? 1 : (stride ?? (s === 0 ? 1 : 2));
        const kept = net.parameters.has(`${name}.shortcut.convolution.weight`) ? unit(x, `${name}.shortcut`, step) : x;
        const units = config.block === "basic" ? 2 : 3;
        const stepping = config.block === "basic" ? 0 : 1;
        let branch = x;
        for (let i = 0; i < units; i++) {
          branch = unit(branch, `${name}.layer.${i}`, i === stepping ? step : 1);
          if (i + 1 < units) branch = relu(branch);
        }
        x = relu(add(branch, kept));
      }
      return x;
    });
  }
  x = norm(convolution(x, "embeddings.patch_embeddings", config.patch, 0), "embeddings.layernorm");
  return config.stages.map(({ depth, stride = undefined, channels }, s) => {
    const step = `encoder.stages.${s}.downsampling_layer`;
    if (net.parameters.has(`${step}.0.weight`)) {
      x = convolution(norm(x, `${step}.0`), `${step}.1`, stride ?? (s === 0 ? 1 : 2), 0);
    }
    for (let l = 0; l < depth; l++) {
      const name = `encoder.stages.${s}.layers.${l}`;
      // As in the reference the depthwise convolution is not masked: what it spreads is cut off at the end of the branch.
      const spread = conv2d(x, named(`${name}.dwconv.weight`), {
        bias: named(`${name}.dwconv.bias`),
        padding: 3,
        groups: channels,
        channels: "last",
      });
      const inner = gelu(
        linear(norm(spread, `${name}.layernorm`), named(`${name}.pwconv1.weight`), named(`${name}.pwconv1.bias`)),
      );
      const branch = mul(
        linear(inner, named(`${name}.pwconv2.weight`), named(`${name}.pwconv2.bias`)),
        named(`${name}.layer_scale_parameter`),
      );
      x = add(x, masked(branch));
    }
    return x;
  });
}
