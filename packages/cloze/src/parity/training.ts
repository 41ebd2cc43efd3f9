// Training runs of a folder `training/<run>`: twenty steps of AdamW, step by step.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  backward,
  clipGradientNorm,
  createAdamW,
  decayGroups,
  linearSchedule,
  readSafetensors,
  type SafetensorsFile,
  scope,
} from "@cloze/tensor";
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import { familyOf, loadModel, type Model, toFile } from "../families/index.js";
import { lossBatch, readInputs } from "./batches.js";
import { type Check, compare, failure, numbers } from "./check.js";

const runSchema = z.looseObject({
  optimizer: z.looseObject({
    lr: z.number(),
    betas: z.tuple([z.number(), z.number()]),
    eps: z.number(),
    weight_decay: z.number(),
  }),
  schedule: z.looseObject({ warmup_steps: z.int(), total_steps: z.int() }),
  max_grad_norm: z.number(),
  log: z.array(z.looseObject({ step: z.int(), lr: z.number(), loss: z.number(), grad_norm: z.number() })),
});

const stepTolerance = 1e-4;
const parameterTolerance = 2e-4;

const relative = (received: number, expected: number): number => {
  const difference = Math.abs(received - expected) / Math.max(1e-12, Math.abs(expected));
  return expected === received ? 0 : Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
};

function checkParameters(name: string, model: Model, folder: string): Check {
  const comparison = compare(`${name} parameters`, parameterTolerance);
  const end = readSafetensors(join(folder, "end.safetensors"));
  scope(() => {
    const names = familyOf(model.source?.model_type).names(model.config, model.head.config, model.source);
    const received = new Map(toFile(names, model.parameters));
    for (const parameter of end.names) {
      const ours = received.get(parameter);
      if (ours === undefined) comparison.fail(`${parameter}: no such parameter`);
      else comparison.add(parameter, ours.toTypedArray(), numbers(end.load(parameter)));
    }
  });
  end.close();
  return comparison.finish();
}

function train(name: string, folder: string, model: Model, batches: SafetensorsFile): Check[] {
  const run = parseConfig(runSchema, JSON.parse(readFileSync(join(folder, "run.json"), "utf8")), "run.json");
  const { optimizer: settings, schedule, log } = run;
  const optimizer = createAdamW(
    decayGroups(model.parameters, { learningRate: settings.lr, weightDecay: settings.weight_decay }),
    { beta1: settings.betas[0], beta2: settings.betas[1], epsilon: settings.eps },
  );
  const rate = linearSchedule({ warmup: schedule.warmup_steps, total: schedule.total_steps });
  const comparisons = ["learning rates", "losses", "gradient norms"].map((what) =>
    compare(`${name} ${what}`, stepTolerance),
  );
  for (const expected of log) {
    const prefix = `${expected.step}.`;
    const inputs = batches.names.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
    const { batch, labels } = lossBatch(readInputs(batches, prefix, inputs));
    const loss = scope(() => {
      const output = model.forward(batch, { ...labels, training: true });
      if (output.loss === undefined) return Number.NaN;
      backward(output.loss);
      return output.loss.item();
    });
    const norm = clipGradientNorm(model.parameters.values(), run.max_grad_norm);
    const scale = rate(expected.step);
    optimizer.step(scale);
    optimizer.zeroGrad();
    [
      [scale * settings.lr, expected.lr],
      [loss, expected.loss],
      [norm, expected.grad_norm],
    ].forEach(([ours, theirs], i) => {
      comparisons[i].addDifference(`step ${expected.step}`, relative(ours, theirs));
    });
  }
  optimizer.dispose();
  return [...comparisons.map((comparison) => comparison.finish()), checkParameters(name, model, folder)];
}

/** Repeats a run and compares each step's loss and gradient norm (relative), and the parameters at the end. */
export function checkTraining(folder: string, name: string): Check[] {
  let model: Model | undefined;
  let batches: SafetensorsFile | undefined;
  try {
    model = loadModel(join(folder, "start"));
    batches = readSafetensors(join(folder, "batches.safetensors"));
    return train(name, folder, model, batches);
  } catch (error) {
    return [failure(name, error)];
  } finally {
    batches?.close();
    model?.dispose();
  }
}
