// Kinds of convolutional networks: one line for each.
import { type ConfigInputOf, type ConfigOf, parseConfig, registrySchema } from "../../encoder/registry.js";
import { convnext } from "./convnext.js";
import type { ConvnetPart } from "./part.js";
import { resnet } from "./resnet.js";

const parts = { resnet, convnext };

export type ConvnetConfig = ConfigOf<typeof parts>;
export type ConvnetConfigInput = ConfigInputOf<typeof parts>;

/** Every kind by its type. */
export const convnets: Readonly<Record<string, ConvnetPart>> = parts as Readonly<Record<string, unknown>> as Readonly<
  Record<string, ConvnetPart>
>;

const schema = registrySchema("convolutional network", parts);

/** Checks a configuration and fills in defaults. @throws CONFIG_INVALID naming the field */
export const parseConvnetConfig = (config: unknown): ConvnetConfig =>
  parseConfig(schema, config, "The convolutional network");

/** The part of a configuration. */
export const convnetPart = ({ type }: ConvnetConfig): ConvnetPart => convnets[type];
