// What happens inside one token: one line for each part.
import type { z } from "zod";
import type { BoundSlot, EncoderFrame, SlotPart } from "../part.js";
import { type ConfigInputOf, type ConfigOf, registrySchema } from "../registry.js";
import { expertsOver } from "./experts.js";
import { gatedMlp } from "./gated-mlp.js";
import { mlp } from "./mlp.js";
import { none } from "./none.js";

/** Those that work on a token by itself. */
const plain = {
  none,
  mlp,
  "gated-mlp": gatedMlp,
};

/** All, with those that stand on another one. */
const parts = {
  ...plain,
  experts: expertsOver(registrySchema("channel", plain), bindPlain),
};

function bindPlain(config: ConfigOf<typeof plain>, hiddenSize: number, encoder: EncoderFrame): BoundSlot {
  const part: SlotPart<z.ZodType<ConfigOf<typeof plain>>> = plain[config.type];
  return part.bind(config, hiddenSize, encoder);
}

export type ChannelConfig = ConfigOf<typeof parts>;
export type ChannelConfigInput = ConfigInputOf<typeof parts>;
export const channelSchema = registrySchema("channel", parts);

/** The channel part that a configuration names, for a hidden size. */
export function bindChannel(config: ChannelConfig, hiddenSize: number, encoder: EncoderFrame): BoundSlot {
  const part: SlotPart<z.ZodType<ChannelConfig>> = parts[config.type];
  return part.bind(config, hiddenSize, encoder);
}
