// The classifier of a joint model on disk, beside the encoder's folder.
import { files, paths, readSafetensors, type Tensor, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { type JointKind, jointKinds } from "./joint-classifier.js";

const { existsSync, readFileSync } = files;
const { join } = paths;

const schema = z.strictObject({
  kind: z.enum(jointKinds),
  candidates: z.int().positive(),
  blockTokens: z.int().min(4),
  labels: z.int().positive(),
});

/** What a joint classifier is told; see `createJointClassifier` and `packJoint`. */
export interface JointSettings {
  readonly kind: JointKind;
  readonly candidates: number;
  readonly blockTokens: number;
  readonly labels: number;
}

/** Whether a folder holds a joint model. */
export const isJointFolder = (folder: string): boolean => existsSync(join(folder, "joint.json"));

/** Writes `joint.safetensors`, and `joint.json` last. @throws FILE_WRITE, DISK_FULL */
export function saveJointClassifier(
  settings: JointSettings,
  parameters: ReadonlyMap<string, Tensor>,
  folder: string,
): void {
  writeSafetensors(join(folder, "joint.safetensors"), new Map(parameters));
  writeFileAtomic(join(folder, "joint.json"), `${JSON.stringify(settings, undefined, 2)}\n`);
}

/**
 * Opens what `saveJointClassifier` wrote.
 *
 * @param use gets the settings and gives away the parameters, by name
 * @throws RERANKER_FILE, WEIGHT_SHAPE, and what `readSafetensors` throws
 */
export function readJointClassifier<T>(
  folder: string,
  use: (settings: JointSettings, load: (name: string) => Tensor | undefined) => T,
): T {
  const path = join(folder, "joint.json");
  let settings: JointSettings;
  try {
    settings = schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new ClozeError("RERANKER_FILE", `${path} describes no joint model`, {
      received: cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause),
      cause,
    });
  }
  const weights = readSafetensors(join(folder, "joint.safetensors"));
  try {
    return use(settings, (name) => weights.load(name));
  } finally {
    weights.close();
  }
}
