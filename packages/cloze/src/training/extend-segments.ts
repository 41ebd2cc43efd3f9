// A trained model with more segments: for a query and several candidates in one sequence (arXiv 2205.01228), or a context behind
// two texts (arXiv 2305.15358).
import { concat, copyOf, noGrad, scope, type Tensor, take, tensor, zeros } from "@cloze/tensor";
import { parseEncoderConfig } from "../encoder/config.js";
import { encoderSpecs } from "../encoder/encoder.js";
import { copiesOf } from "../encoder/parameters.js";
import { ClozeError } from "../errors.js";
import { buildModel, type Model } from "../families/model.js";

const table = "embeddings.segment.weight";

/**
 * Gives a model so many segments. New ones begin as copies of the last one that there is, and part as they are trained; a model
 * that had none begins with zeros. What reads the segments that there were is computed as before, bit for bit.
 *
 * @returns a model with copies of the weights; the one given stays
 * @throws INVALID_OPTION for fewer than there are, and where the embeddings know no segments
 * @example
 * const joint = extendSegments(loadModel("roberta"), 6); // a query and five candidates
 */
export function extendSegments(model: Model, count: number): Model {
  const { segmentVocabularySize: known } = model.config;
  if (!Number.isInteger(count) || count < known) {
    throw new ClozeError("INVALID_OPTION", "A model keeps the segments that it has", {
      expected: `a whole number from ${known}`,
      received: String(count),
    });
  }
  const config = parseEncoderConfig({ ...model.config, segmentVocabularySize: count });
  const shape = encoderSpecs(config).find(({ name }) => name === table)?.shape;
  if (shape === undefined) {
    throw new ClozeError("INVALID_OPTION", "The embeddings of this model know no segments", {
      expected: "embeddings of tokens",
      received: config.embeddings.type,
    });
  }
  const copy = copiesOf(model.parameters, "encoder.");
  const load = (name: string): Tensor | undefined => {
    if (name !== table) return copy(name);
    const theirs = model.encoder.parameters.get(table);
    if (theirs === undefined) return zeros(shape);
    if (count === known) return copyOf(theirs);
    const last = new Int32Array(count - known).fill(known - 1);
    return scope(() => noGrad(() => concat([theirs, take(theirs, tensor(last))], 0))).keep();
  };
  return buildModel(
    config,
    model.head.config,
    { load },
    { load: copiesOf(model.parameters, "head.") },
    { source: model.source, initialized: model.initialized, unused: model.unused },
  );
}
