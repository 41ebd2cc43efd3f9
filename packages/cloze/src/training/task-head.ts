// A model with the head that a task wants: the one it has, or a new one on the same encoder.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createParameters } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import { architectureOf, headOf } from "../families/architectures.js";
import { assembleModel, familyOf, loadModel, type Model } from "../families/index.js";
import { wordTableOf } from "../families/model.js";
import { createHead, headSpecs, parseHeadConfig } from "../heads/index.js";
import type { Task } from "../tasks/index.js";

export interface TaskHeadOptions {
  /** A head for other labels is made anew, instead of an error. Default false. */
  allowMismatched?: boolean;
  /** For what is made anew. */
  seed: number;
}

/** The class that a folder's config.json names, without prefix; undefined where it names none. */
function classOf(folder: string): string | undefined {
  const path = join(folder, "config.json");
  if (!existsSync(path)) return undefined; // `loadModel` says so better.
  const json = JSON.parse(readFileSync(path, "utf8")) as { architectures?: unknown; model_type?: unknown };
  const named: unknown = Array.isArray(json.architectures) ? json.architectures[0] : undefined;
  return typeof named === "string" ? architectureOf(named, familyOf(json.model_type)) : undefined;
}

/** Settings in the order of the labels that the model has; the wanted ones where they are to be made anew. */
function reconciled<Row, Settings, Prediction>(
  task: Task<Row, Settings, Prediction>,
  wanted: Settings,
  model: Model,
  allowMismatched: boolean,
): { settings: Settings; anew: boolean } {
  const inModel = task.fromHead?.(model.head.config);
  if (inModel === undefined || task.reconcile === undefined) return { settings: wanted, anew: inModel === undefined };
  try {
    return { settings: task.reconcile(wanted, inModel), anew: false };
  } catch (error) {
    if (allowMismatched && error instanceof ClozeError && error.code === "LABEL_MAP_MISMATCH")
      return { settings: wanted, anew: true };
    throw error;
  }
}

/** The head that settings want, with the parameters of the model's head where they fit; the model's encoder stays. */
function withHead<Row, Settings, Prediction>(
  model: Model,
  task: Task<Row, Settings, Prediction>,
  settings: Settings,
  anew: boolean,
  seed: number,
): Model {
  const { architecture, ...fields } = task.head(settings);
  const { encoder } = model;
  const config = parseHeadConfig({ ...headOf(architecture, fields) });
  const same = config.type === model.head.config.type && !anew;
  if (same) {
    // Only names may differ: parameters depend on none.
    const names = "names" in fields ? { names: fields.names } : {};
    const head = { ...model.head, config: parseHeadConfig({ ...model.head.config, ...names }) };
    return assembleModel(encoder, head, model);
  }
  const head = createHead(config, encoder.config, { seed: deriveSeed(seed, "head") }, wordTableOf(encoder));
  model.head.dispose();
  return assembleModel(encoder, head, { ...model, initialized: [...head.parameters.keys()].map((n) => `head.${n}`) });
}

/** Draws the parameters of a classifier again: those with a row for each label. */
function redrawClassifier(model: Model, seed: number): string[] {
  const { head, encoder } = model;
  if (!("labels" in head.config)) return [];
  const { labels } = head.config;
  const specs = headSpecs(head.config, encoder.config).filter(({ shape }) => shape[0] === labels);
  const fresh = createParameters(specs, { seed: deriveSeed(seed, "head") }, encoder.config.initializerRange);
  for (const [name, from] of fresh) {
    const to = head.parameters.get(name);
    to?.storage.backend.copy(from.pointer, to.pointer, to.size, to.dtype);
    to?.markWritten();
    from.dispose();
  }
  return specs.map(({ name }) => `head.${name}`);
}

/**
 * The model to fine-tune, with the task's head and the settings that go with it. A head of the right kind is gone on with;
 * labels then keep the places that they have in the model.
 *
 * @param start a folder, or a model, which is used up
 * @throws LABEL_MAP_MISMATCH, and what `loadModel` throws
 */
export function modelForTask<Row, Settings, Prediction>(
  start: string | Model,
  task: Task<Row, Settings, Prediction>,
  wanted: Settings,
  { allowMismatched = false, seed }: TaskHeadOptions,
): { model: Model; settings: Settings; initialized: readonly string[] } {
  if (typeof start !== "string") {
    const { settings, anew } = reconciled(task, wanted, start, allowMismatched);
    const model = withHead(start, task, settings, anew, seed);
    return { model, settings, initialized: model.initialized };
  }
  const { architecture } = task.head(wanted);
  const load = (settings: Settings): Model => loadModel(start, { ...task.head(settings), seed });
  if (classOf(start) !== architecture) {
    const model = load(wanted);
    return { model, settings: wanted, initialized: model.initialized };
  }
  const model = loadModel(start);
  try {
    const { settings, anew } = reconciled(task, wanted, model, allowMismatched);
    if (!anew) {
      const named = withHead(model, task, settings, false, seed);
      return { model: named, settings, initialized: [] };
    }
    model.dispose();
    const again = load(settings);
    return {
      model: again,
      settings,
      initialized: [...new Set([...again.initialized, ...redrawClassifier(again, seed)])],
    };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
