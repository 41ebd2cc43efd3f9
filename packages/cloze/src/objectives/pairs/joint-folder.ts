// The classifier of a joint model on disk, beside the encoder's folder.
import { z } from "zod";
import { partFiles } from "../../encoder/part-files.js";
import { type JointKind, jointKinds } from "./joint-classifier.js";

/** What a joint classifier is told; see `createJointClassifier` and `packJoint`. */
export interface JointSettings {
  readonly kind: JointKind;
  readonly candidates: number;
  readonly blockTokens: number;
  readonly labels: number;
}

/** How a joint model's files are called and read. */
export const jointPart = {
  name: "joint",
  settings: z.strictObject({
    kind: z.enum(jointKinds),
    candidates: z.int().positive(),
    blockTokens: z.int().min(4),
    labels: z.int().positive(),
  }),
  error: { code: "RERANKER_FILE", message: "describes no joint model" },
};

/** The classifier's files, without the model. */
export const jointFiles = partFiles(jointPart);
