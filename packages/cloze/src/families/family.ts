// What Cloze knows of one Hugging Face model type: its configuration and its names of weights, both ways.
import type { Tensor } from "@cloze/tensor";
import type { EncoderConfig, EncoderConfigInput } from "../encoder/config.js";
import type { HeadConfig, HeadConfigInput } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";
import type { StoredLayout } from "./stored-layout.js";

/** The fields of a config.json. */
export type ConfigJson = Readonly<Record<string, unknown>>;

/** The tensors of a file that a parameter consists of, and how it lies in them. */
export interface StoredParameter {
  readonly names: readonly string[];
  readonly layout: StoredLayout;
}

/** For each parameter of a model (`encoder.…`, `head.…`) how a file has it. */
export type NameMap = ReadonlyMap<string, StoredParameter>;

export interface Family {
  /** `model_type` of the config. */
  readonly modelType: string;
  /** What stands before the architecture in a class name: "Bert". */
  readonly classPrefix: string;
  /** The fields of config.json that `readConfig` and `writeConfig` look after; others are kept as they are. */
  readonly fields: readonly string[];
  /** Architectures whose head is another one than usual, or that only this family has. */
  readonly heads?: Readonly<Record<string, (fields: HeadFields) => HeadConfigInput>>;
  /**
   * The encoder, and what the config says for whichever head; `ownHead` where it describes a whole head.
   *
   * @throws CONFIG_INVALID, CONFIG_UNSUPPORTED
   */
  readConfig(json: ConfigJson): { encoder: EncoderConfigInput; head: HeadFields; ownHead?: HeadConfigInput };
  /**
   * The fields that describe the model as well as this model type can, or undefined where it plainly cannot. Whether they
   * do is found out by reading them again, so nothing needs to be checked here.
   */
  writeConfig(encoder: EncoderConfig, head: HeadConfig): ConfigJson | undefined;
  /** @param json the config.json beside the file, where one is known: names may depend on fields that change nothing else */
  names(encoder: EncoderConfig, head: HeadConfig, json?: ConfigJson): NameMap;
  /** In transformers, tokens of this model type become something else where their batch is padded further. */
  readonly paddingCounts?: true;
  /** Tensors of a file that no parameter stands for and that are written back as they are (a pooler that a class has unused). */
  readonly carries?: RegExp;
  /** Tensors that a file has though they follow from the configuration, for models that were not loaded with them. */
  constants?(encoder: EncoderConfig, head: HeadConfig): ReadonlyMap<string, Tensor>;
  /** Other names under which files have a tensor, likeliest first. */
  aliases(name: string): readonly string[];
}
