// A linear-chain conditional random field (Lafferty et al., 2001) over the classes of tokens.
import { concat, crfLoss, div, reshape, sum, type Tensor, take, tensor } from "@cloze/tensor";
import { checkTags, type TagScheme } from "../data/readers/tag-scheme.js";
import type { ParameterSpec } from "../encoder/part.js";
import { ClozeError } from "../errors.js";
import { atOnce, type Steps } from "../text/steps.js";
import { checkCount, classLabels, type HeadContext } from "./head.js";

/** `crf.transitions` [labels, labels], from row to column; `crf.start` and `crf.end` [labels]. Zeros: no class looks at another. */
export const crfSpecs = (labels: number): ParameterSpec[] => [
  { name: "crf.transitions", shape: [labels, labels], initial: "zeros" },
  { name: "crf.start", shape: [labels], initial: "zeros" },
  { name: "crf.end", shape: [labels], initial: "zeros" },
];

/** Transitions, start and end as one table. -> [labels + 2, labels] */
export function rulesOf({ parameter }: Pick<HeadContext, "parameter">): Tensor {
  const row = (name: string): Tensor => {
    const value = parameter(name);
    return reshape(value, [1, value.size]);
  };
  return concat([parameter("crf.transitions"), row("crf.start"), row("crf.end")], 0);
}

/**
 * The negative log-likelihood of the classes of each sequence's asked tokens, divided by the number of these tokens, so that
 * learning rates suit as for cross-entropy. Tokens with -100 (special tokens, continuations of words) are passed over: those
 * around them are neighbours.
 *
 * @param emissions [tokens, labels]
 * @param rules [labels + 2, labels]
 * @throws LABELS_SHAPE, LABELS_KIND, TARGET_OUT_OF_RANGE, CONFIG_UNSUPPORTED for weights of classes
 */
export function packedCrfLoss(
  emissions: Tensor,
  rules: Tensor,
  offsets: Int32Array,
  labels: Int32Array | Float32Array,
  classWeights?: Float32Array,
): Tensor {
  if (classWeights !== undefined) {
    throw new ClozeError("CONFIG_UNSUPPORTED", "A conditional random field has no weights of classes", {
      remedy: "Leave the weights out, or use the classifier without crf.",
    });
  }
  const what = "Labels of tokens";
  checkCount(what, labels, emissions.shape[0]);
  const targets = classLabels(what, labels);
  const asked = Int32Array.from(targets.keys()).filter((row) => targets[row] !== -100);
  if (asked.length === 0) return sum(take(emissions, tensor(asked)));
  let before = 0;
  const ends = Int32Array.from(offsets, (end) => {
    while (before < asked.length && asked[before] < end) before++;
    return before;
  });
  const wanted = asked.map((row) => targets[row]);
  return div(crfLoss(take(emissions, tensor(asked)), rules, wanted, tensor(ends)), asked.length);
}

/**
 * Which classes may follow each other, begin and end a sequence by a tag scheme: 1 where allowed, laid out as the rules of a
 * conditional random field. Undefined when a class is no tag of the scheme.
 *
 * @param names of the classes: "B-PER", "I-PER", "O"
 * @returns [labels + 2, labels]
 */
export function allowedTransitions(names: readonly string[], scheme: TagScheme): Uint8Array | undefined {
  const labels = names.length;
  const allowed = new Uint8Array((labels + 2) * labels);
  const faultAt = (position: number, tags: readonly string[]): boolean =>
    checkTags(tags, scheme).some((fault) => fault.position === position);
  // An O behind a tag takes the blame for a span that is still open.
  names.forEach((first, i) => {
    names.forEach((second, j) => {
      allowed[i * labels + j] = Number(!faultAt(1, [first, second, "O"]));
    });
    allowed[labels * labels + i] = Number(!faultAt(0, [first, "O"]));
  });
  names.forEach((last, j) => {
    const ends = [[last], ...names.map((first) => [first, last])].some((tags) => !faultAt(tags.length - 1, tags));
    allowed[(labels + 1) * labels + j] = Number(ends);
  });
  const everyTagIsReachable = names.every((_, j) =>
    Array.from({ length: labels + 1 }, (_, i) => allowed[i * labels + j]).some((flag) => flag === 1),
  );
  return everyTagIsReachable ? allowed : undefined;
}

/**
 * The labelling with the highest score. Without transitions it is the best one that the constraints allow, and without both
 * the best label of each token.
 *
 * @param emissions of one sequence, the tokens that are asked only. [tokens x labels]
 * @param labels how many there are
 * @param options.transitions [labels + 2, labels], as heads give them
 * @param options.allowed see `allowedTransitions`
 * @returns [tokens]
 */
export const viterbi = (...given: Parameters<typeof viterbiSteps>): Int32Array => atOnce(viterbiSteps(...given));

/** The same in steps of some hundred tokens. */
export function* viterbiSteps(
  emissions: ArrayLike<number>,
  labels: number,
  { transitions, allowed }: { transitions?: ArrayLike<number>; allowed?: ArrayLike<number> } = {},
): Steps<Int32Array> {
  const tokens = emissions.length / labels;
  const path = new Int32Array(tokens);
  if (tokens === 0) return path;
  // A forbidden step costs more than all scores together could make good, but paths without another way stay comparable.
  const rule = Float64Array.from({ length: (labels + 2) * labels }, (_, place) => {
    const score = Math.max(-1e9, transitions?.[place] ?? 0);
    return allowed === undefined || allowed[place] ? score : score - 1e12;
  });
  let scores = Float64Array.from({ length: labels }, (_, j) => rule[labels * labels + j] + emissions[j]);
  const from = new Int32Array(tokens * labels);
  for (let t = 1; t < tokens; t++) {
    if (t % 512 === 0) yield;
    const next = new Float64Array(labels);
    for (let j = 0; j < labels; j++) {
      let best = 0;
      let highest = Number.NEGATIVE_INFINITY;
      for (let i = 0; i < labels; i++) {
        const score = scores[i] + rule[i * labels + j];
        if (score > highest) {
          highest = score;
          best = i;
        }
      }
      from[t * labels + j] = best;
      next[j] = highest + emissions[t * labels + j];
    }
    scores = next;
  }
  let last = 0;
  const closing = scores.map((score, j) => score + rule[(labels + 1) * labels + j]);
  for (let j = 1; j < labels; j++) if (closing[j] > closing[last]) last = j;
  for (let t = tokens - 1; t >= 0; t--) {
    path[t] = last;
    last = from[t * labels + last];
  }
  return path;
}
