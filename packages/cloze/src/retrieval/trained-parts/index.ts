// Parts of a search pipeline that learn from judgements, by name. A new one is a file and a line here.
import { parseConfig } from "../../encoder/registry.js";
import { ClozeError } from "../../errors.js";
import { loadModel } from "../../families/index.js";
import { loadTokenizer } from "../../text/tokenizer.js";
import { earlyExit } from "./early-exit.js";
import { epic } from "./epic.js";
import { parade } from "./parade.js";
import { prettr } from "./prettr.js";
import { deepct, deepimpact } from "./term-weights.js";
import { tilde } from "./tilde.js";
import type { TrainedPart, TrainedPartKind } from "./trained-part.js";

export type { JudgedDocument, JudgedQuery, TrainedPart, TrainedPartKind } from "./trained-part.js";

export const trainedParts: readonly TrainedPartKind[] = [parade, earlyExit, prettr, deepimpact, deepct, epic, tilde];

/** A kind of part by its name. @throws PART_UNKNOWN */
export function trainedPartKind(type: string): TrainedPartKind {
  const found = trainedParts.find((kind) => kind.type === type);
  if (found !== undefined) return found;
  throw new ClozeError("PART_UNKNOWN", `No part of a search pipeline is called "${type}"`, {
    expected: trainedParts.map((kind) => kind.type).join(", "),
    received: type,
  });
}

/**
 * Opens a part to train: a new one on a model, or one that was trained, to go on with.
 *
 * @param folder of a model, or of such a part
 * @param config its type and its options; a part that was trained has its own
 * @throws PART_UNKNOWN, PART_OPTIONS, and what loading throws
 * @example
 * const part = openTrainedPart("bert", { type: "parade", aggregation: "max" });
 * await part.train(await readJudgements(findCollection("scifact", "train")), { epochs: 1, folder: "run" });
 * part.save("parade");
 */
export function openTrainedPart(
  folder: string,
  { type, ...settings }: { readonly type: string } & Readonly<Record<string, unknown>>,
  { seed = 1 }: { seed?: number } = {},
): TrainedPart {
  const kind = trainedPartKind(type);
  if (kind.recognises(folder)) {
    if (Object.keys(settings).length === 0) return kind.load(folder);
    throw new ClozeError("PART_OPTIONS", `${folder} was trained already, and has its own options`, {
      expected: "no options",
      received: Object.keys(settings).join(", "),
      remedy: "Leave them out, or start from a model.",
    });
  }
  const parsed = parseConfig(kind.options, settings, `The part ${type}`, "PART_OPTIONS") as Record<string, unknown>;
  const model = loadModel(folder);
  try {
    return kind.create(model, loadTokenizer(folder), parsed, seed);
  } catch (error) {
    model.dispose();
    throw error;
  }
}
