// Joint rankers on disk: the encoder's folder, with the classifier beside it.
import { jointPart } from "../../objectives/pairs/joint-folder.js";
import { partFolder } from "../part-folder.js";
import { createJointRanker, type JointRanker } from "./joint-ranker.js";

const folders = partFolder({ ...jointPart, prefix: "joint." });

/** Whether a folder holds a joint model. */
export const isJointFolder = folders.recognises;

/** Writes a ranker: the model's folder, `joint.safetensors`, and `joint.json` last. @throws FILE_WRITE, DISK_FULL */
export const saveJointRanker = ({ options, ...ranker }: JointRanker, folder: string): void =>
  folders.save({ ...ranker, settings: options }, folder);

/**
 * Opens what `saveJointRanker` or pre-training by "joint-candidates" wrote.
 *
 * @throws RERANKER_FILE, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw
 */
export const loadJointRanker = (folder: string): JointRanker => folders.load(folder, createJointRanker);
