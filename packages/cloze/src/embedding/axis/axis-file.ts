// An axis as JSON beside its encoder.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { type Axis, createAxis } from "./axis.js";
import type { PhraseEncoder } from "./phrase-vectors.js";

const version = 1;
/** Phrases whose scores are kept, to know the encoder again. */
const keptScores = 8;
/** How far they may lie off: 8-bit weights round, another encoder is somewhere else. */
const tolerance = 0.1;

const numbers = z.array(z.number());
const schema = z.object({
  type: z.literal("axis"),
  version: z.literal(version),
  templates: z.array(z.string()),
  phrases: z.array(z.string()),
  mean: numbers,
  direction: numbers,
  norm: z.number().positive(),
  explainedVariance: numbers,
  scores: numbers,
});

/** Writes an axis as JSON; its encoder is not in it. @throws FILE_WRITE, DISK_FULL */
export function saveAxis(axis: Axis, path: string): void {
  const { templates, phrases, mean, direction, norm, explainedVariance } = axis;
  const scores = axis.score(phrases.slice(0, keptScores));
  const file: z.infer<typeof schema> = {
    type: "axis",
    version,
    templates: [...templates],
    phrases: [...phrases],
    mean: [...mean],
    direction: [...direction],
    norm,
    explainedVariance: [...explainedVariance],
    scores: [...scores],
  };
  writeFileAtomic(path, `${JSON.stringify(file)}\n`);
}

function readAxis(path: string): z.infer<typeof schema> {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ClozeError("AXIS_INVALID", `${path} holds no axis`, { cause, remedy: "Make one with cloze axis." });
  }
  const parsed = schema.safeParse(json);
  const { error, data } = parsed;
  if (error === undefined && data.mean.length === data.direction.length) return data;
  throw new ClozeError("AXIS_INVALID", `${path} holds no axis`, {
    received: error === undefined ? "a mean and a direction of different lengths" : z.prettifyError(error),
    remedy: "Make one with cloze axis.",
  });
}

/**
 * Reads an axis that `saveAxis` wrote and puts it together with its encoder. A few phrases are scored to see that it is the
 * same one.
 *
 * @throws AXIS_INVALID, AXIS_ENCODER where the encoder is another one
 * @example
 * const axis = loadAxis("mine/moral.json", loadEmbedder("mine"));
 */
export function loadAxis(path: string, embedder: PhraseEncoder): Axis {
  const { mean, direction, scores, templates, phrases, norm, explainedVariance } = readAxis(path);
  const other = (received: string): ClozeError =>
    new ClozeError("AXIS_ENCODER", `${path} was fitted with another encoder`, {
      expected: `vectors of ${mean.length} numbers, and the scores that the axis was saved with`,
      received,
      remedy: "Name the encoder that it was fitted with, or fit it again with cloze axis.",
    });
  if (mean.length !== embedder.width) throw other(`vectors of ${embedder.width} numbers`);
  const axis = createAxis(embedder, {
    templates,
    phrases,
    mean: Float64Array.from(mean),
    direction: Float64Array.from(direction),
    norm,
    explainedVariance,
  });
  axis.score(phrases.slice(0, scores.length)).forEach((score, i) => {
    if (Math.abs(score - scores[i]) <= tolerance) return;
    throw other(`${score.toFixed(3)} instead of ${scores[i].toFixed(3)} for "${phrases[i]}"`);
  });
  return axis;
}

/**
 * The encoder of an axis: the folder that is named, else the one that the file lies in.
 *
 * @throws AXIS_ENCODER where neither is an encoder
 */
export function encoderFolderOf(path: string, folder?: string): string {
  if (folder !== undefined) return folder;
  const beside = dirname(path);
  if (["modules.json", "config.json"].some((name) => existsSync(join(beside, name)))) return beside;
  throw new ClozeError("AXIS_ENCODER", `${path} does not lie beside its encoder`, {
    expected: `the encoder's config.json in ${beside}, or its folder by name`,
    remedy: "Name the encoder that the axis was fitted with (cloze probe --model, cloze generate --filter-model).",
  });
}
