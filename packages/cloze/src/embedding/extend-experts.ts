// One embedder for several fields in which "alike" means different things (arXiv 2401.15713).
import { ClozeError } from "../errors.js";
import { addSpecialTokens } from "../text/index.js";
import { type ExtendModelOptions, extendModelWithExperts } from "../training/extend-experts.js";
import { growVocabulary } from "../training/extend-vocabulary.js";
import { copyModules, createEmbedder, type Embedder, poolsStates } from "./embedder.js";
import { layerPoolingOf } from "./layer-pooling.js";

export interface ExtendEmbedderOptions extends Omit<ExtendModelOptions, "count"> {
  /** Names of the fields, an expert each: "[COPD]" … */
  fields: readonly string[];
  /** Experts, where it is not one for each field. */
  count?: number;
  /**
   * Each name becomes a special token, whose vector starts as that of the first special token and stands in its place.
   * False: the name alone chooses the expert. Default true.
   */
  fieldTokens?: boolean;
}

/**
 * Clones the channels of an embedder's layers into experts, one for each field, and gives the tokenizer a token for each.
 * Until it is trained, every field's vectors are those of the embedder given. With `layers: []` there are tokens alone.
 *
 * @returns an embedder with copies of the weights; the one given stays
 * @throws INVALID_OPTION, CONFIG_INVALID, FIELD_TOKEN where texts begin with no special token
 * @example
 * const experts = extendWithExperts(loadEmbedder(folder), { fields: ["[COPD]", "[CVD]"] });
 * await trainEmbedder(experts, [{ query: a, document: b, field: "[CVD]" }, …], { loss: "multiple-negatives" });
 * experts.embed(texts, { field: "[CVD]" });
 */
export function extendWithExperts(
  embedder: Embedder,
  { fields, fieldTokens = true, count = fields.length, ...options }: ExtendEmbedderOptions,
): Embedder {
  const { route = "given" } = options;
  if (fields.length === 0 || new Set(fields).size < fields.length || (route === "given" && count !== fields.length)) {
    throw new ClozeError("INVALID_OPTION", "Fields and experts do not fit", {
      expected: "different names, and as many experts as fields where these choose them",
      received: `${fields.length} fields (${fields.join(", ")}), ${count} experts`,
    });
  }
  const { documentLevel, routes, model: start } = embedder;
  if (documentLevel !== undefined || routes !== undefined || layerPoolingOf(start) || !poolsStates(embedder)) {
    throw new ClozeError("INVALID_OPTION", "This embedder cannot get experts", {
      expected: "one encoder, whose last layer gives the vectors of tokens",
      received:
        "an embedder of documents in blocks, with routes, with weights of layers, or with modules before its pooling",
    });
  }
  const tokenizer = fieldTokens ? addSpecialTokens(embedder.tokenizer, fields) : embedder.tokenizer;
  const [first] = embedder.tokenize([""], { prompt: "" })[0];
  if (fieldTokens && !(embedder.options.specialTokens && embedder.tokenizer.specialIds.has(first))) {
    throw new ClozeError(
      "FIELD_TOKEN",
      "Texts of this embedder begin with no special token that a field's could replace",
      {
        remedy: "Take fieldTokens: false.",
      },
    );
  }
  const before = embedder.tokenizer.vocabularySize;
  const added = Array.from({ length: tokenizer.vocabularySize - before }, (_, i) => ({
    id: before + i,
    token: tokenizer.idToToken(before + i) ?? "",
    pieces: [first],
  }));
  const extended = extendModelWithExperts(embedder.model, { ...options, count });
  const model = added.length === 0 ? extended : growVocabulary(extended, added);
  return createEmbedder(model, tokenizer, { ...embedder.options, fields, modules: copyModules(embedder) });
}
