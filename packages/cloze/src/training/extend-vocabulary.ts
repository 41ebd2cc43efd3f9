// A model with a larger vocabulary, for pre-training that goes on in another domain.
import { concat, mean, noGrad, scope, slice, type Tensor, take, tensor } from "@cloze/tensor";
import { type EncoderConfig, parseEncoderConfig } from "../encoder/config.js";
import { encoderSpecs } from "../encoder/encoder.js";
import { ClozeError } from "../errors.js";
import { buildModel, type Model } from "../families/model.js";
import { headSpecs } from "../heads/index.js";
import type { AddedPiece } from "../text/extend-vocabulary.js";
import { type ExtendedTokenizer, type ExtendTokenizerOptions, extendTokenizer, type Tokenizer } from "../text/index.js";

/** Shapes of all parameters, by their names in the model. */
function shapesOf(config: EncoderConfig, { head }: Model): Map<string, readonly number[]> {
  return new Map([
    ...encoderSpecs(config).map(({ name, shape }) => [`encoder.${name}`, shape] as const),
    ...headSpecs(head.config, config).map(({ name, shape }) => [`head.${name}`, shape] as const),
  ]);
}

/** A table with a row more for each new piece, the mean of the rows of what stood for it. [old, ...] -> [size, ...] */
function grow(table: Tensor, size: number, added: readonly AddedPiece[]): Tensor {
  return scope(() =>
    noGrad(() => {
      const [rows, ...rest] = table.shape;
      // Rows that were never used stand between the old ids and the new ones in some models.
      const first = Math.min(rows, added[0]?.id ?? rows);
      const flat = table.view([rows, rest.reduce((a, b) => a * b, 1)]);
      const means = added.map(({ pieces }) => mean(take(flat, tensor(Int32Array.from(pieces))), [0], true));
      const beyond = added.length === 0 ? rows : added[added.length - 1].id + 1;
      const parts = [slice(flat, [{ end: first }]), ...means];
      if (beyond < rows) parts.push(slice(flat, [{ start: beyond }]));
      return concat(parts, 0).view([size, ...rest]);
    }),
  ).keep();
}

/**
 * Grows everything in a model that has a row for each word: embeddings, decoders and their biases. New rows are the means of
 * the rows that stood for the new pieces, which is a better start than random ones. Checkpoints and optimizers of the old
 * model do not fit the new one.
 *
 * @param added new entries with ids one after the other, from the old size of the tokenizer on
 * @returns a model on the same parameters where they did not grow; the one given is used up
 * @throws VOCABULARY_EXTEND where a parameter depends on the vocabulary in another way
 */
export function growVocabulary(model: Model, added: readonly AddedPiece[]): Model {
  const { vocabularySize } = model.config;
  const size = Math.max(vocabularySize, ...added.map(({ id }) => id + 1));
  const config = parseEncoderConfig({ ...model.config, vocabularySize: size });
  const before = shapesOf(model.config, model);
  const wrong = [...shapesOf(config, model)].find(([name, shape]) => {
    const old = before.get(name) ?? [];
    return old[0] !== shape[0] && (old[0] !== vocabularySize || old.slice(1).join() !== shape.slice(1).join());
  });
  if (wrong !== undefined || vocabularySize === 0) {
    throw new ClozeError("VOCABULARY_EXTEND", "The vocabulary of this model cannot be extended", {
      expected: "parameters with a row for each word",
      received: wrong === undefined ? "a model without words" : wrong[0],
    });
  }
  // By what a table is for, not by its height: another one may be as high by chance.
  const probe = shapesOf(parseEncoderConfig({ ...model.config, vocabularySize: size + 1 }), model);
  const grown = new Map(
    [...model.parameters]
      .filter(([name]) => probe.get(name)?.[0] !== before.get(name)?.[0])
      .map(([name, table]) => [name, grow(table, size, added)] as const),
  );
  const carried = new Map(
    [...model.carried].map(([name, value]) => {
      if (value.shape[0] !== vocabularySize) return [name, value] as const;
      const larger = grow(value, size, added);
      value.dispose();
      return [name, larger] as const;
    }),
  );
  const load = (part: string) => (name: string) =>
    grown.get(`${part}.${name}`) ?? model.parameters.get(`${part}.${name}`);
  const { source, initialized, unused } = model;
  const built = buildModel(
    config,
    model.head.config,
    { load: load("encoder") },
    { load: load("head") },
    { source, initialized, unused, carried },
  );
  for (const name of grown.keys()) model.parameters.get(name)?.dispose();
  return built;
}

/**
 * Extends the vocabulary of a tokenizer and of its model; see `extendTokenizer` for what is added.
 *
 * @param source texts of the domain, read once; or words
 * @returns the new tokenizer, what was added to it, and a model that takes the place of the one given
 * @throws TOKENIZER_EXTEND, TOKENIZER_EMPTY_CORPUS, VOCABULARY_EXTEND
 * @example
 * const { model, tokenizer } = extendVocabulary(loadModel(folder), loadTokenizer(folder), { texts }, { count: 1000 });
 */
export function extendVocabulary(
  model: Model,
  tokenizer: Tokenizer,
  source: Parameters<typeof extendTokenizer>[1],
  options: ExtendTokenizerOptions,
): ExtendedTokenizer & { readonly model: Model } {
  const extended = extendTokenizer(tokenizer, source, options);
  return { ...extended, model: extended.added.length === 0 ? model : growVocabulary(model, extended.added) };
}
