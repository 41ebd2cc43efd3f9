// What a config.json says about labels, which all model types write alike.
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import type { HeadConfig } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";
import type { ConfigJson } from "./family.js";

const problems = {
  regression: "regression",
  single: "single_label_classification",
  multi: "multi_label_classification",
} as const;

const schema = z.looseObject({
  id2label: z.record(z.string(), z.string()).nullish(),
  num_labels: z.int().min(1).nullish(),
  problem_type: z.enum(Object.values(problems)).nullish(),
});

/**
 * Number and names of labels, and the problem. @throws CONFIG_INVALID
 */
export function readLabels(json: ConfigJson): HeadFields {
  const { id2label, num_labels, problem_type } = parseConfig(schema, json, "config.json");
  const problem = (Object.keys(problems) as (keyof typeof problems)[]).find((name) => problems[name] === problem_type);
  if (id2label === undefined || id2label === null) return { labels: num_labels ?? undefined, problem };
  const labels = Object.keys(id2label).length;
  const names = Array.from({ length: labels }, (_, i) => id2label[i]);
  if (labels === 0 || names.includes(undefined as never)) {
    throw new ClozeError("CONFIG_INVALID", "config.json: id2label names the labels 0, 1, 2 …", {
      received: Object.keys(id2label).slice(0, 8).join(", "),
    });
  }
  return { labels, names, problem };
}

/** What labels without names are called. */
export const defaultNames = (labels: number): string[] => Array.from({ length: labels }, (_, i) => `LABEL_${i}`);

/** The same for a config.json; nothing for heads without labels. */
export function writeLabels(head: HeadConfig): ConfigJson {
  if (!("labels" in head)) return {};
  const names = head.names ?? defaultNames(head.labels);
  return {
    id2label: Object.fromEntries(names.map((name, i) => [i, name])),
    label2id: Object.fromEntries(names.map((name, i) => [name, i])),
    ...("problem" in head && head.problem !== undefined ? { problem_type: problems[head.problem] } : {}),
  };
}

/** Fields that `readLabels` and `writeLabels` look after. */
export const labelFields: readonly string[] = Object.keys(schema.shape).concat("label2id");
