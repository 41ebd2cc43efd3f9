// Convolutional encoders on disk: config.json and model.safetensors, named as transformers names ResNet and ConvNeXt. Where
// their model type has no word for a network, the folder is Cloze's own.
import { files, paths, readSafetensors, type SafetensorsFile, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../errors.js";
import { type Convnet, createConvnet } from "./convnet.js";
import { type ConvnetConfigInput, convnetPart, convnets } from "./nets/index.js";
import type { ConvnetJson } from "./nets/part.js";

const { existsSync, mkdirSync, readFileSync } = files;
const { join } = paths;

/** The model type of networks that no model type of transformers describes. */
const ownModelType = "cloze-convnet";

/**
 * Saves the convolutional encoder alone, as it is used: dense. Files appear whole or not at all, the weights first.
 *
 * @throws FILE_WRITE, DISK_FULL
 * @example
 * exportEncoder(net, "encoder");
 * const again = loadConvnet("encoder");
 */
export function exportEncoder(net: Convnet, folder: string): void {
  const part = convnetPart(net.config);
  const written = part.write(net.config);
  const json: ConvnetJson = {
    model_type: written === undefined ? ownModelType : part.modelType,
    architectures: written === undefined ? ["ClozeConvnet"] : [part.architecture],
    ...written,
    dtype: "float32",
    cloze: { convnet: net.config },
  };
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new ClozeError("FILE_WRITE", `The folder ${folder} could not be made`, { cause });
  }
  writeSafetensors(join(folder, "model.safetensors"), [...net.parameters, ...net.statistics], { format: "pt" });
  writeFileAtomic(join(folder, "config.json"), `${JSON.stringify(json, undefined, 2)}\n`);
}

function readJson(folder: string): ConvnetJson {
  const path = join(folder, "config.json");
  if (!existsSync(path)) {
    throw new ClozeError("CONFIG_MISSING", `There is no config.json in ${folder}`, {
      remedy: "Name a folder of exportEncoder, or of a ResNet or ConvNeXt of Hugging Face.",
    });
  }
  try {
    return z.looseObject({}).parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new ClozeError("CONFIG_INVALID", `${path} is no JSON object`, {
      received: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

/** The configuration that a config.json describes, and what names in files may begin with. */
function describedBy(json: ConvnetJson): { config: ConvnetConfigInput; prefix: string } {
  const own = z.looseObject({ cloze: z.looseObject({ convnet: z.looseObject({ type: z.string() }) }) }).safeParse(json);
  if (own.success) return { config: own.data.cloze.convnet as unknown as ConvnetConfigInput, prefix: "" };
  const part = Object.values(convnets).find(({ modelType }) => modelType === json.model_type);
  if (part === undefined) {
    throw new ClozeError("MODEL_TYPE_UNKNOWN", "This folder holds no convolutional encoder", {
      expected: Object.values(convnets)
        .map(({ modelType }) => modelType)
        .join(" or "),
      received: String(json.model_type),
    });
  }
  try {
    return { config: part.read(json) as ConvnetConfigInput, prefix: part.prefix };
  } catch (cause) {
    throw new ClozeError("CONFIG_UNSUPPORTED", `config.json describes no ${part.modelType} that Cloze can run`, {
      received: cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause),
      cause,
    });
  }
}

/** The tensor of a parameter. @throws WEIGHT_MISSING */
function nameIn(file: SafetensorsFile, name: string, prefix: string): string {
  const found = [name, `${prefix}${name}`].find((candidate) => file.names.includes(candidate));
  if (found !== undefined) return found;
  throw new ClozeError("WEIGHT_MISSING", `The weights lack ${name}`, {
    received: `${file.names.length} others`,
    remedy: "Check that the weights and config.json belong together.",
  });
}

/**
 * Loads a convolutional encoder: a folder of `exportEncoder`, or a ResNet or ConvNeXt as transformers saves it.
 *
 * @throws CONFIG_MISSING, CONFIG_INVALID, CONFIG_UNSUPPORTED, MODEL_TYPE_UNKNOWN, WEIGHT_MISSING, WEIGHT_SHAPE,
 * FILE_NOT_FOUND, SAFETENSORS_…
 */
export function loadConvnet(folder: string): Convnet {
  const { config, prefix } = describedBy(readJson(folder));
  const file = readSafetensors(folder);
  try {
    return createConvnet(config, { load: (name) => file.load(nameIn(file, name, prefix)) });
  } finally {
    file.close();
  }
}
