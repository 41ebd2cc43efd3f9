import { noGrad, scope, type Tensor } from "@cloze/tensor";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import type { Model } from "../families/index.js";
import { type SubstituteSampler, substituteSampler } from "../objectives/clusters.js";
import { withTokens } from "../objectives/generator/generator.js";
import type { Objective, ObjectiveVocabulary } from "../objectives/index.js";
import { chooseByChance } from "../objectives/random-token-substitution.js";

/**
 * The share of substituted tokens that a detector takes for originals: of substitutes drawn as clustered substitution does
 * with the counts of its run, and of substitutes that are all alike.
 */
export function substitutionErrors(
  model: Pick<Model, "forward">,
  { state }: Pick<Objective, "state">,
  vocabulary: ObjectiveVocabulary,
  sentences: readonly Int32Array[],
  seed: number,
): { clustered: number; uniform: number } {
  const [of, counts] = ["clusterOf", "counts"].map((name) =>
    (state.get(`clustered-token-substitution.${name}`) as Tensor).toTypedArray(),
  );
  const { clsId, sepId, vocabularySize } = vocabulary;
  const batch = packSequences(sentences.map((ids) => ({ ids: [clsId, ...ids, sepId] })));
  const error = (sampler: SubstituteSampler): number => {
    const random = randomSource(seed, 5);
    const rows = chooseByChance(batch, vocabulary, random, { rate: 0.15, unit: "token" });
    const substituted = withTokens(
      batch,
      rows,
      rows.map((row) => sampler(batch.ids[row], random)),
    );
    const logits = scope(() => noGrad(() => (model.forward(substituted).logits as Tensor).toTypedArray()));
    const changed = Array.from(rows).filter((row) => substituted.ids[row] !== batch.ids[row]);
    return changed.filter((row) => logits[row] <= 0).length / changed.length;
  };
  return {
    clustered: error(substituteSampler(of, counts, 2, vocabulary)),
    uniform: error((_, random) => Math.floor(random() * vocabularySize)),
  };
}
