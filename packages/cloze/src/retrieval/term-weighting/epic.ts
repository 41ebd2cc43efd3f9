// EPIC (MacAvaney 2020, arXiv 2004.14245): queries as the importance of their own tokens, passages as weights over the whole
// vocabulary, both sparse enough to be looked at.
import {
  add,
  linear,
  log,
  mul,
  noGrad,
  reshape,
  scatterRows,
  scope,
  segmentMax,
  sigmoid,
  softplus,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { groupByTokenBudget, type PackedBatch, packSequences } from "../../data/packed-batch.js";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import { deriveSeed } from "../../encoder/seeds.js";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import type { SparseVector } from "../learned-sparse/impact-index.js";
import { sparseVector } from "../learned-sparse/splade.js";

export interface EpicOptions {
  /** Tokens of a query and of a document at most; 16 and 192 unless told. */
  queryLength?: number;
  documentLength?: number;
  /** Terms of a document's vector at most, the heaviest; 100 unless told. */
  most?: number;
}

export interface EpicEncodeOptions {
  role?: "query" | "document";
  /** Terms of a vector at most, the heaviest; as many as of a document's unless told. */
  most?: number;
  /** Tokens per forward pass, of which each makes a row as wide as the vocabulary. Default 512. */
  tokenBudget?: number;
  /** Texts longer than the limit are counted there. */
  counts?: { truncatedTexts: number };
}

export interface Epic {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly options: Required<EpicOptions>;
  /** The model's by their names, and `epic.…`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Weights over the vocabulary, with gradients where recorded; relevance is their inner product: [texts, vocabulary] */
  weights(
    texts: readonly string[],
    role: "query" | "document",
    options?: { training?: boolean; seed?: number },
  ): Tensor;
  /** For `createImpactIndex`, and `impactRetriever`. */
  encode(texts: readonly string[], options?: EpicEncodeOptions): SparseVector[];
  dispose(): void;
}

/** log(1 + softplus(x)): above 0, and slower and slower. */
const importance = (x: Tensor): Tensor => log(add(softplus(x), 1));

/**
 * Puts EPIC's heads on a masked language model; it owns the model. With a(x) = log(1 + softplus(x)):
 * query: a(w_q · h_t) at its own tokens, the largest where one repeats;
 * document: sigmoid(w_c · h_CLS) max_t a(w_d · h_t) a(z_tv), z the masked-language logits.
 *
 * @param source where the heads' parameters come from; new ones by seed 1 unless told
 * @throws EPIC_HEAD for a model without a masked-language head
 * @example
 * const epic = createEpic(model, tokenizer);
 * const index = createImpactIndex(epic.encode(documents, { role: "document" }));
 * index.search(epic.encode(["what is a stoat"], { role: "query" })[0], 10);
 */
export function createEpic(
  model: Model,
  tokenizer: Tokenizer,
  options: EpicOptions = {},
  source: ParameterSource = { seed: 1 },
): Epic {
  if (model.head.config.type !== "masked-language") {
    throw new ClozeError("EPIC_HEAD", "Weights over the vocabulary come from a masked-language head", {
      expected: "a model ForMaskedLM",
      received: model.architecture,
    });
  }
  const { hiddenSize, initializerRange, vocabularySize, maxPositions } = model.encoder.config;
  const longest = maxPositions > 0 ? maxPositions : 512;
  const lengths = {
    query: Math.min(options.queryLength ?? 16, longest),
    document: Math.min(options.documentLength ?? 192, longest),
  };
  const mostTerms = options.most ?? 100;
  const own = createParameters(
    ["query", "document", "quality"].flatMap((name) => [
      { name: `${name}.weight`, shape: [1, hiddenSize], initial: "normal" as const },
      { name: `${name}.bias`, shape: [1], initial: "zeros" as const },
    ]),
    "load" in source ? source : { seed: deriveSeed(source.seed, "epic") },
    initializerRange,
  );
  const parameters = new Map(model.parameters);
  for (const [name, value] of own) parameters.set(`epic.${name}`, value);
  const score = (name: string, states: Tensor): Tensor =>
    linear(states, lookUp(own, `${name}.weight`), lookUp(own, `${name}.bias`));

  const batchOf = (texts: readonly string[], role: "query" | "document"): PackedBatch =>
    packSequences(
      texts.map((text) => ({ ids: tokenizer.encodeIds(text, { truncation: { maxLength: lengths[role] } }) })),
    );

  /** [texts, vocabulary] */
  function ofQueries(batch: PackedBatch, how: { training?: boolean; seed?: number }): Tensor {
    const { ids, offsets } = batch;
    const weights = importance(score("query", model.encoder.forward(batch, how).hidden)); // [tokens, 1]
    const groups = new Map<number, number[]>();
    for (let s = 0; s + 1 < offsets.length; s++) {
      for (let i = offsets[s]; i < offsets[s + 1]; i++) {
        if (tokenizer.specialIds.has(ids[i])) continue;
        const cell = s * vocabularySize + ids[i];
        groups.set(cell, [...(groups.get(cell) ?? []), i]);
      }
    }
    let end = 0;
    const ends = Int32Array.from([0, ...Array.from(groups.values(), ({ length }) => (end += length))]);
    const rows = Int32Array.from([...groups.values()].flat());
    const best = segmentMax(take(weights, tensor(rows)), tensor(ends)); // [groups, 1]
    const sequences = offsets.length - 1;
    const cells = tensor(Int32Array.from(groups.keys()));
    return reshape(scatterRows(best, cells, sequences * vocabularySize), [sequences, vocabularySize]);
  }
  function ofDocuments(batch: PackedBatch, how: { training?: boolean; seed?: number }): Tensor {
    const { hidden, logits } = model.forward(batch, how);
    const first = take(hidden, tensor(batch.offsets.slice(0, -1)));
    const weighed = mul(importance(score("document", hidden)), importance(logits as Tensor)); // [tokens, vocabulary]
    return mul(segmentMax(weighed, tensor(batch.offsets)), sigmoid(score("quality", first)));
  }
  const weights: Epic["weights"] = (texts, role, how = {}) =>
    scope(() => (role === "query" ? ofQueries : ofDocuments)(batchOf(texts, role), how));
  return {
    model,
    tokenizer,
    options: { queryLength: lengths.query, documentLength: lengths.document, most: mostTerms },
    parameters,
    weights,
    encode(texts, { role = "document", most = mostTerms, tokenBudget = 512, counts } = {}) {
      const whole = texts.map((text) => tokenizer.encodeIds(text, { truncation: false }).length);
      if (counts !== undefined) counts.truncatedTexts += whole.filter((length) => length > lengths[role]).length;
      const sizes = whole.map((length) => Math.min(lengths[role], length));
      const vectors: SparseVector[] = new Array(texts.length);
      for (const group of groupByTokenBudget(sizes, tokenBudget)) {
        const found = noGrad(() =>
          scope(
            () =>
              weights(
                group.map((i) => texts[i]),
                role,
              ).toTypedArray() as Float32Array,
          ),
        );
        group.forEach((text, row) => {
          vectors[text] = sparseVector(found.subarray(row * vocabularySize, (row + 1) * vocabularySize), most);
        });
      }
      return vectors;
    },
    dispose() {
      model.dispose();
      for (const value of own.values()) value.dispose();
    },
  };
}
