import { type Command, Option } from "commander";
import { readImages } from "../data/images/read-images.js";
import { type Convnet, createConvnet } from "../vision/convnet.js";
import { exportEncoder, loadConvnet } from "../vision/convnet-folder.js";
import type { ConvnetConfigInput } from "../vision/nets/index.js";
import { type PretrainImagesOptions, pretrainImages } from "../vision/pretrain-images.js";
import { parseSpark, sparkOptions } from "../vision/spark/spark.js";
import { setting, wholeNumber } from "./arguments.js";
import { progressFor } from "./output.js";
import { checkLength, printRun, type TrainingOptions, withTrainingOptions } from "./training-options.js";

interface PretrainImagesCommandOptions extends TrainingOptions {
  model?: string;
  net: keyof typeof networks;
  size?: number;
  objective: string;
  set?: Record<string, unknown>;
  batchSize: number;
  optimizer: "lamb" | "adamw";
}

const four = (channels: readonly number[], depths: readonly number[]) =>
  channels.map((width, i) => ({ channels: width, depth: depths[i] }));

/** New networks by name; the small ones are for images of 32 pixels a side. */
const networks = {
  "resnet-tiny": {
    type: "resnet",
    stem: { channels: 16, kernel: 3, stride: 1, pool: false },
    stages: [{ channels: 16, depth: 2, stride: 2 }, ...four([32, 64], [2, 2])],
  },
  "resnet-18": { type: "resnet", stages: four([64, 128, 256, 512], [2, 2, 2, 2]) },
  "resnet-50": {
    type: "resnet",
    stages: four([256, 512, 1024, 2048], [3, 4, 6, 3]),
    block: "bottleneck",
    dropPath: 0.05,
  },
  "convnext-micro": { type: "convnext", patch: 2, stages: four([24, 48, 96], [2, 2, 2]) },
  "convnext-tiny": { type: "convnext", stages: four([96, 192, 384, 768], [3, 3, 9, 3]), dropPath: 0.2 },
} as const satisfies Record<string, ConvnetConfigInput>;

/** Options of the objective that the command passes on. */
function objectiveOf({ objective, set }: PretrainImagesCommandOptions): Partial<PretrainImagesOptions> {
  const config = parseSpark({ ...set, objective });
  // A name that is none was refused; defaults stay the library's.
  return Object.fromEntries(Object.entries(config).filter(([name]) => name === "objective" || name in (set ?? {})));
}

/** As wide as the network's last stage, so that its map needs no projection; the paper's 768 where that is more. */
const decoderWidthFor = (net: Convnet): number => {
  const last = net.widths[net.widths.length - 1];
  // A block halves maps' stride and the width alike, so the width is a multiple of the stride.
  const stride = net.strides[net.strides.length - 1];
  return Math.min(768, Math.ceil(last / stride) * stride);
};

/** `cloze pretrain-images` */
export function addPretrainImages(program: Command): void {
  const command = program
    .command("pretrain-images")
    .description("train a convolutional encoder on images without labels: PNG files, folders, CIFAR-10's records")
    .argument("<sources...>", "files and folders; broken images are left out and counted")
    .option("--model <folder>", "go on from this network instead of from nothing: a ResNet or ConvNeXt")
    .addOption(new Option("--net <name>", "a new network").choices(Object.keys(networks)).default("resnet-tiny"))
    .option("--size <pixels>", "side that images are scaled to (default: that of the first one)", wholeNumber(4))
    .addOption(new Option("--objective <type>", "what it is asked").choices(["spark"]).default("spark"))
    .option("--set <name=value>", "an option of the objective, see below; may be repeated", setting)
    .option("--batch-size <images>", "images of a batch", wholeNumber(), 64)
    .addOption(new Option("--optimizer <name>", "lamb for large batches").choices(["adamw", "lamb"]).default("adamw"))
    .addHelpText("after", () =>
      [
        "\nOptions of spark, which hides patches and paints them (arXiv 2301.03580):",
        ...Object.entries(sparkOptions).map(([name, meaning]) => `  ${name}  ${meaning}`),
      ].join("\n"),
    );
  withTrainingOptions(command).action(async (sources: string[], options: PretrainImagesCommandOptions) => {
    checkLength(options);
    const progress = progressFor(options);
    const asked = objectiveOf(options);
    const { images, warnings } = readImages(sources, { size: options.size });
    for (const { code, message, count, first } of warnings) {
      progress.note(`${code}: ${count} × ${message} (first: ${first})`);
    }
    progress.note(`${images.count} images of ${images.height} x ${images.width} pixels`);
    const net =
      options.model === undefined
        ? createConvnet(networks[options.net], { seed: options.seed })
        : loadConvnet(options.model);
    try {
      const decay = options.weightDecay;
      const result = await pretrainImages(net, images, {
        decoderWidth: decoderWidthFor(net),
        ...asked,
        steps: options.steps,
        minutes: options.minutes,
        batchSize: options.batchSize,
        optimizer: options.optimizer,
        learningRate: options.learningRate,
        ...(decay === undefined ? {} : { weightDecay: [decay, decay] }),
        seed: options.seed,
        folder: options.out,
        resume: options.resume,
        checkpointMinutes: options.checkpointMinutes,
        progress,
      });
      exportEncoder(net, options.out);
      printRun(options, { ...result, ...(warnings.length > 0 ? { warnings } : {}) });
    } finally {
      net.dispose();
    }
  });
}
