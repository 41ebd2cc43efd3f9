// A model with the head that a task wants: the one it has, or a new one on the same encoder.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { copyInto, copyOf, sameShape, type Tensor } from "@cloze/tensor";
import { createParameters } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import { architectureOf, headOf } from "../families/architectures.js";
import { assembleModel, familyOf, loadModel, type Model } from "../families/index.js";
import { wordTableOf } from "../families/model.js";
import { createHead, type HeadConfig, headSpecs, parseHeadConfig } from "../heads/index.js";
import type { Task } from "../tasks/index.js";

export interface TaskHeadOptions {
  /** A head for other labels, and weights that are missing or of another shape, are made anew, instead of an error.
   * Default false. */
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
  if (inModel === undefined || task.reconcile === undefined) return { settings: wanted, anew: false };
  try {
    return { settings: task.reconcile(wanted, inModel), anew: false };
  } catch (error) {
    if (allowMismatched && error instanceof ClozeError && error.code === "LABEL_MAP_MISMATCH")
      return { settings: wanted, anew: true };
    throw error;
  }
}

/** Another head on the model's encoder; parameters that the head before has too, in this shape, are taken along. */
function replaceHead(model: Model, config: HeadConfig, seed: number): Model {
  const { encoder, head: before } = model;
  const shapes = new Map(headSpecs(config, encoder.config).map(({ name, shape }) => [name, shape]));
  const kept = new Set<string>();
  const load = (name: string): Tensor | undefined => {
    const found = before.config.type === config.type ? before.parameters.get(name) : undefined;
    if (found === undefined || !sameShape(found.shape, shapes.get(name) ?? [])) return undefined;
    kept.add(`head.${name}`);
    return copyOf(found);
  };
  const head = createHead(config, encoder.config, { seed: deriveSeed(seed, "head"), load }, wordTableOf(encoder));
  before.dispose();
  const fresh = [...head.parameters.keys()].map((name) => `head.${name}`).filter((name) => !kept.has(name));
  const initialized = [...model.initialized.filter((name) => kept.has(name) || !name.startsWith("head.")), ...fresh];
  return assembleModel(encoder, head, { ...model, initialized });
}

/** The model with what settings say of its head (names, a random field); other parts of a head of this kind stay. */
function withHead<Row, Settings, Prediction>(
  model: Model,
  task: Task<Row, Settings, Prediction>,
  settings: Settings,
  seed: number,
): Model {
  const { architecture, ...fields } = task.head(settings);
  const fresh = parseHeadConfig(headOf(architecture, fields));
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  if (model.head.config.type !== fresh.type) return replaceHead(model, fresh, seed);
  // Names belong to the labels that they were given with.
  const before =
    "labels" in given && !("names" in given) ? { ...model.head.config, names: undefined } : model.head.config;
  return replaceHead(model, parseHeadConfig({ ...before, ...given }), seed);
}

/** Draws the parameters of a classifier again, since its rows stood for other labels: those with a row for each label. */
function redrawClassifier(model: Model, seed: number): string[] {
  const { head, encoder } = model;
  if (!("labels" in head.config)) return [];
  const { labels } = head.config;
  const specs = headSpecs(head.config, encoder.config).filter(({ shape }) => shape[0] === labels);
  const fresh = createParameters(specs, { seed: deriveSeed(seed, "head") }, encoder.config.initializerRange);
  for (const [name, from] of fresh) {
    const to = head.parameters.get(name);
    if (to !== undefined) copyInto(to, from);
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
  const finish = (model: Model, anew: boolean, settings: Settings) => {
    const ready = withHead(model, task, settings, seed);
    const redrawn = anew ? redrawClassifier(ready, seed) : [];
    return { model: ready, settings, initialized: [...new Set([...ready.initialized, ...redrawn])] };
  };
  if (typeof start !== "string") {
    const { settings, anew } = reconciled(task, wanted, start, allowMismatched);
    return finish(start, anew, settings);
  }
  const { architecture, labels, names, problem } = task.head(wanted);
  const hasHead = classOf(start) === architecture;
  const model = loadModel(start, {
    ...(hasHead ? {} : { architecture, labels, names, problem }),
    allowMismatched,
    seed,
  });
  try {
    const { settings, anew } = hasHead
      ? reconciled(task, wanted, model, allowMismatched)
      : { settings: wanted, anew: false };
    return finish(model, anew, settings);
  } catch (error) {
    model.dispose();
    throw error;
  }
}
