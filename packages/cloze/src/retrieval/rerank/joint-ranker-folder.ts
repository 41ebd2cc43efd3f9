// Joint rankers on disk: the encoder's folder, with the classifier beside it.
import { files } from "@cloze/tensor";
import { loadModel, saveModel } from "../../families/index.js";
import { readJointClassifier, saveJointClassifier } from "../../objectives/pairs/joint-folder.js";
import { loadTokenizer } from "../../text/tokenizer.js";
import { createJointRanker, type JointRanker } from "./joint-ranker.js";

/** Writes a ranker: the model's folder, `joint.safetensors`, and `joint.json` last. @throws FILE_WRITE, DISK_FULL */
export function saveJointRanker(ranker: JointRanker, folder: string): void {
  files.mkdirSync(folder, { recursive: true });
  saveModel(ranker.model, folder);
  ranker.tokenizer.save(folder);
  saveJointClassifier(ranker.options, ranker.classifierParameters, folder);
}

/**
 * Opens what `saveJointRanker` or pre-training by "joint-candidates" wrote.
 *
 * @throws RERANKER_FILE, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw
 */
export function loadJointRanker(folder: string): JointRanker {
  return readJointClassifier(folder, (settings, load) => {
    const model = loadModel(folder);
    try {
      return createJointRanker(model, loadTokenizer(folder), settings, { load });
    } catch (error) {
      model.dispose();
      throw error;
    }
  });
}
