// Joint models: a query and several candidates are read at once, so that each is judged beside the others (arXiv 2205.01228).
import { noGrad, scope, type Tensor } from "@cloze/tensor";
import { groupByTokenBudget } from "../../data/packed-batch.js";
import type { ParameterSource } from "../../encoder/parameters.js";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/model.js";
import { checkJoint, type JointTexts, packJoint } from "../../objectives/pairs/joint-blocks.js";
import { createJointClassifier, type JointKind, ofEachCandidate } from "../../objectives/pairs/joint-classifier.js";
import type { JointSettings } from "../../objectives/pairs/joint-folder.js";
import type { Tokenizer } from "../../text/index.js";

export interface JointRankerOptions {
  /** What is read; see `JointKind`. Default "ie-k": each candidate's own vector. */
  kind?: JointKind;
  /** Candidates that are read at once. Default 5. */
  candidates?: number;
  /** Tokens of the query and of each candidate, special ones included, at most. Default 64. */
  blockTokens?: number;
  /** Classes: 2 (default) to rank, others for kinds that say something of the whole (ie-1, ae-1). */
  labels?: number;
}

/** A query and its candidates as texts. */
export interface JointQuery {
  readonly query: string;
  readonly candidates: readonly string[];
}

export interface JointPassOptions {
  training?: boolean;
  seed?: number;
  /** Called for each candidate that is longer than a block: what follows is not read. */
  onCut?: (query: number, candidate: number) => void;
}

export interface JointRanker {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly options: JointSettings;
  /** The encoder's by their names, and `joint.…`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly classifierParameters: ReadonlyMap<string, Tensor>;
  /**
   * Logits with gradients where recorded: a row for each candidate of each query, in their order, or for each query (ie-1,
   * ae-1). [rows, labels]
   *
   * @param queries each with at most `options.candidates` candidates
   */
  logits(queries: readonly JointQuery[], options?: JointPassOptions): Tensor;
  dispose(): void;
}

/**
 * Puts an encoder, its tokenizer and a joint classifier together; the ranker owns them. `cloze pretrain --objective
 * joint-candidates` leaves a folder that `loadJointRanker` opens.
 *
 * @param source where the classifier's parameters come from; new ones by seed 1 unless told
 * @throws OBJECTIVE_COMBINATION where the encoder has too few positions or segments
 * @example
 * const ranker = createJointRanker(extendSegments(loadModel("roberta"), 6), loadTokenizer("roberta"));
 * await trainJointRanker(ranker, rows, { epochs: 3 });
 * const best = rankJoint(ranker, "who wrote Emma", sentences)[0];
 */
export function createJointRanker(
  model: Model,
  tokenizer: Tokenizer,
  { kind = "ie-k", candidates = 5, blockTokens = 64, labels = 2 }: JointRankerOptions = {},
  source: ParameterSource = { seed: 1 },
): JointRanker {
  const options: JointSettings = { kind, candidates, blockTokens, labels };
  const { config } = model;
  checkJoint(options, config);
  const shape = { kind, hiddenSize: config.hiddenSize, candidates, labels };
  const classifier = createJointClassifier(shape, source, config.initializerRange);
  const idsOf = (text: string) => tokenizer.encodeIds(text, { addSpecialTokens: false, truncation: false });
  return {
    model,
    tokenizer,
    options,
    classifierParameters: classifier.parameters,
    parameters: new Map([
      ...model.encoder.parameters,
      ...[...classifier.parameters].map(([name, value]) => [`joint.${name}`, value] as const),
    ]),
    logits(queries, { onCut, ...how } = {}) {
      const crowded = queries.find((one) => one.candidates.length > candidates || one.candidates.length === 0);
      if (crowded !== undefined) {
        throw new ClozeError("LABELS_SHAPE", "A joint model reads a few candidates at once", {
          expected: `1 to ${candidates} for each query`,
          received: String(crowded.candidates.length),
          remedy: "rankJoint cuts longer lists into groups.",
        });
      }
      return scope(() => {
        const texts = queries.map(
          (one): JointTexts => ({ query: idsOf(one.query), candidates: one.candidates.map(idsOf) }),
        );
        // Two tokens stand around a text.
        texts.forEach((one, query) => {
          one.candidates.forEach(({ length }, candidate) => {
            if (length + 2 > blockTokens) onCut?.(query, candidate);
          });
        });
        const joint = packJoint(texts, tokenizer, options, config.segmentVocabularySize);
        return classifier.logits(model.encoder.forward(joint.batch, how).hidden, joint, how);
      });
    },
    dispose() {
      model.dispose();
      classifier.dispose();
    },
  };
}

/** The candidates of a query in groups of as many as are read at once, in their order or in another one. */
export function jointGroups(count: number, size: number, order: (i: number) => number = (i) => i): number[][] {
  return Array.from({ length: Math.ceil(count / size) }, (_, group) =>
    Array.from({ length: Math.min(size, count - group * size) }, (_, i) => order(group * size + i)),
  );
}

export interface RankJointOptions {
  /** Tokens of a pass, by the longest that its groups may be; 8192 unless told. */
  tokenBudget?: number;
  /** Called for each candidate that is longer than the model reads. */
  onCut?: (candidate: number) => void;
}

/**
 * Candidates, best first, with the log-odds of being an answer. More than the model reads at once are read in groups, in their
 * order.
 *
 * @throws RERANKER_TASK where the model says nothing of single candidates
 */
export function rankJoint(
  ranker: Pick<JointRanker, "options" | "logits">,
  query: string,
  candidates: readonly string[],
  { tokenBudget = 8192, onCut }: RankJointOptions = {},
): { candidate: number; text: string; score: number }[] {
  const { kind, labels, candidates: size, blockTokens } = ranker.options;
  if (!ofEachCandidate(kind) || labels !== 2) {
    throw new ClozeError("RERANKER_TASK", "This joint model says nothing of single candidates", {
      expected: "ie-k, ae-k or re-k, with 2 labels",
      received: `${kind}, with ${labels}`,
    });
  }
  const groups = jointGroups(candidates.length, size);
  const longest = groups.map((group) => (group.length + 1) * blockTokens);
  const scores = new Float64Array(candidates.length);
  for (const pass of groupByTokenBudget(longest, tokenBudget)) {
    const read = pass.map((g) => groups[g]);
    const queries = read.map((group) => ({ query, candidates: group.map((i) => candidates[i]) }));
    const cut = (asked: number, candidate: number) => onCut?.(read[asked][candidate]);
    const logits = noGrad(() => scope(() => ranker.logits(queries, { onCut: cut }).toTypedArray()));
    read.flat().forEach((candidate, row) => {
      scores[candidate] = logits[2 * row + 1] - logits[2 * row];
    });
  }
  return candidates
    .map((text, candidate) => ({ candidate, text, score: scores[candidate] }))
    .sort((a, b) => b.score - a.score || a.candidate - b.candidate);
}
