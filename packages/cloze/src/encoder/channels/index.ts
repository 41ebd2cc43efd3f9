// What happens inside one token: one line for each part.
import type { z } from "zod";
import type { BoundSlot, EncoderFrame, SlotPart } from "../part.js";
import { type ConfigInputOf, type ConfigOf, registrySchema } from "../registry.js";
import { gatedMlp } from "./gated-mlp.js";
import { mlp } from "./mlp.js";
import { none } from "./none.js";

const parts = {
  none,
  mlp,
  "gated-mlp": gatedMlp,
};

export type ChannelConfig = ConfigOf<typeof parts>;
export type ChannelConfigInput = ConfigInputOf<typeof parts>;
export const channelSchema = registrySchema("channel", parts);

/** The channel part that a configuration names, for a hidden size. */
export function bindChannel(config: ChannelConfig, hiddenSize: number, encoder: EncoderFrame): BoundSlot {
  const part: SlotPart<z.ZodType<ChannelConfig>> = parts[config.type];
  return part.bind(config, hiddenSize, encoder);
}
