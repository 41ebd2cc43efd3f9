// What Cloze knows of one Hugging Face model type: its configuration and its names of weights, both ways.
import type { EncoderConfig, EncoderConfigInput } from "../encoder/config.js";
import type { HeadConfig } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";

/** The fields of a config.json. */
export type ConfigJson = Readonly<Record<string, unknown>>;

/**
 * For each parameter of a model (`encoder.…`, `head.…`) the tensors of the file that it consists of, one below the other:
 * `queryKeyValue` is query, key and value.
 */
export type NameMap = ReadonlyMap<string, readonly string[]>;

export interface Family {
  /** `model_type` of the config. */
  readonly modelType: string;
  /** What stands before the architecture in a class name: "Bert". */
  readonly classPrefix: string;
  /** The fields of config.json that `readConfig` and `writeConfig` look after; others are kept as they are. */
  readonly fields: readonly string[];
  /**
   * The encoder, and what the config says for whichever head.
   *
   * @throws CONFIG_INVALID, CONFIG_UNSUPPORTED
   */
  readConfig(json: ConfigJson): { encoder: EncoderConfigInput; head: HeadFields };
  /** The fields that describe the model, or undefined when this model type cannot. */
  writeConfig(encoder: EncoderConfig, head: HeadConfig): ConfigJson | undefined;
  names(encoder: EncoderConfig, head: HeadConfig): NameMap;
  /** Other names under which files have a tensor, likeliest first. */
  aliases(name: string): readonly string[];
}
