// The summary of a sequence that multiple choice has in place of a pooler, where transformers has it: ELECTRA, ConvBERT, RoFormer.
import { z } from "zod";
import type { HeadConfig } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";
import { activationOf, nameOfActivation, rate } from "./bert-like.js";
import type { ConfigJson } from "./family.js";

/** The fields of a config.json for a summary. */
export const summaryFields = {
  summary_type: z.enum(["first", "last", "mean", "cls_index"]).nullish(),
  summary_use_proj: z.boolean().nullish(),
  summary_activation: z.string().nullish(),
  summary_first_dropout: rate.nullish(),
  summary_last_dropout: rate.nullish(),
};
type Fields = z.output<ReturnType<typeof z.looseObject<typeof summaryFields>>>;

/** What transformers takes where a config says nothing of a summary. */
export const plainSummary: Fields = { summary_type: "last", summary_use_proj: false, summary_activation: null };

/**
 * The summary that a config describes, for heads of the type "multiple-choice".
 *
 * @param otherwise what the model type takes for fields that are absent (null is a value)
 * @throws CONFIG_UNSUPPORTED
 */
export function readSummary(
  config: Fields,
  otherwise: Fields = plainSummary,
): Required<Pick<HeadFields, "pooling" | "pooler" | "choiceDropout">> {
  const { summary_type, summary_use_proj, summary_activation, summary_first_dropout, summary_last_dropout } = {
    ...otherwise,
    ...Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined)),
  };
  const activation = summary_activation ? activationOf(summary_activation, "summary_activation") : "none";
  const dense = summary_use_proj === true;
  return {
    // Nobody gives "cls_index" a place, and it takes the last one then.
    pooling: summary_type === "first" || summary_type === "mean" ? summary_type : "last",
    pooler: dense || activation !== "none" ? { activation, dense, dropout: summary_first_dropout ?? 0 } : null,
    choiceDropout: summary_last_dropout ?? 0,
  };
}

/** The fields of a summary; none for other heads than "multiple-choice". */
export function writeSummary(head: HeadConfig): ConfigJson {
  if (head.type !== "multiple-choice") return {};
  const { pooling, pooler, dropout } = head;
  return {
    summary_type: pooling,
    summary_use_proj: pooler?.dense === true,
    summary_activation: pooler === null || pooler.activation === "none" ? null : nameOfActivation(pooler.activation),
    ...(pooler === null || pooler.dropout === 0 ? {} : { summary_first_dropout: pooler.dropout }),
    summary_last_dropout: dropout,
  };
}
