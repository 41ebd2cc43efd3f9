// The config.json of a Pooling module.
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { modesOf, type Pooling, type PoolingMode, poolingModes } from "../pooling.js";
import { readJson } from "./json-file.js";

/** What sentence-transformers calls each way of pooling: before its version 6, and since. */
const poolingNames: Readonly<Record<PoolingMode, readonly [old: string, now: string]>> = {
  cls: ["pooling_mode_cls_token", "cls"],
  max: ["pooling_mode_max_tokens", "max"],
  mean: ["pooling_mode_mean_tokens", "mean"],
  "mean-sqrt-length": ["pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"],
  "weighted-mean": ["pooling_mode_weightedmean_tokens", "weightedmean"],
  "last-token": ["pooling_mode_lasttoken", "lasttoken"],
};

const poolingSchema = z.looseObject({
  pooling_mode: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  include_prompt: z.boolean().default(true),
});

/** @throws EMBEDDER_FILE, EMBEDDER_POOLING */
export function readPooling(path: string): { pooling: Pooling; includePrompt: boolean } {
  const config = readJson(path, poolingSchema);
  const { pooling_mode: named, include_prompt: includePrompt } = config;
  const old = poolingModes.filter((mode) => config[poolingNames[mode][0]] === true);
  const asked = named === undefined ? undefined : typeof named === "string" ? [named] : named;
  const modes = asked?.map((name) => poolingModes.find((mode) => poolingNames[mode][1] === name)) ?? old;
  const unknown = asked?.find((_, i) => modes[i] === undefined);
  if (unknown !== undefined) {
    throw new ClozeError("EMBEDDER_POOLING", `${path} asks for a pooling that Cloze does not have`, {
      expected: poolingModes.map((mode) => poolingNames[mode][1]).join(", "),
      received: unknown,
    });
  }
  const known = modes as PoolingMode[];
  // A file that asks for nothing means the mean, as sentence-transformers reads it.
  return { pooling: known.length === 0 ? "mean" : known.length === 1 ? known[0] : known, includePrompt };
}

/** What the file holds. Old readers know flags only; an order of their own needs the new field. */
export function poolingConfig(width: number, pooling: Pooling, includePrompt: boolean): Record<string, unknown> {
  const modes = modesOf(pooling);
  const inOldOrder = poolingModes.filter((mode) => modes.includes(mode)).join() === modes.join();
  return {
    word_embedding_dimension: width,
    ...(inOldOrder
      ? Object.fromEntries(poolingModes.map((mode) => [poolingNames[mode][0], modes.includes(mode)]))
      : { pooling_mode: modes.map((mode) => poolingNames[mode][1]) }),
    include_prompt: includePrompt,
  };
}
