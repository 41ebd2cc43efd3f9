import { uniformEncoder } from "cloze";
import { prepareStep } from "cloze/recipes";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";

const ngrams = Array.from({ length: 1000 }, (_, i) => ({ ids: [5 + i, 6 + i] }));

/** Objectives that read tokens in a row, as they are used. */
const kinds: Readonly<Record<string, { type: string; [option: string]: unknown }>> = {
  "replaced-token-detection": { type: "replaced-token-detection" },
  "replaced-language": { type: "replaced-language" },
  "all-tokens-language": { type: "all-tokens-language" },
  "swapped-language": { type: "slm" },
  "random-token-substitution": { type: "random-token-substitution" },
  "clustered-token-substitution": { type: "clustered-token-substitution" },
  "enhanced decoder": { type: "enhanced-decoder" },
  "masked pairs": { type: "masked-pairs" },
  "n-grams, explicit": { type: "ngram-language", mode: "explicit", lexicon: ngrams },
  "n-grams, comprehensive": { type: "ngram-language", lexicon: ngrams },
};

/**
 * Tokens per second of each objective beside those of plain masked words at the same shape, in turn, and what the objectives'
 * own counts of work predict: the ratio of the two is at least 0.9 where an objective wastes nothing.
 */
export async function objectives({ peersOnly, only }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  if (peersOnly) return rows;
  const encoder = uniformEncoder({ vocabularySize: 8192, hiddenSize: 256, layers: 4, heads: 4, maxPositions: 128 });
  const shape = { encoder, sequences: 16, length: 128 };
  for (const [name, objective] of Object.entries(kinds)) {
    if (!name.includes(only)) continue;
    const plain = prepareStep({ type: "masked-language" }, shape);
    const own = prepareStep(objective, shape);
    const contenders = [
      { ...harness.ourContender({ run: () => void plain.step() }), name: "plain" },
      { ...harness.ourContender({ run: () => void own.step() }), name: "own" },
    ];
    const times = await harness.interleave(contenders, { seconds: 10 });
    const measured = (times.get("plain") as number) / (times.get("own") as number);
    const predicted = plain.flops / own.flops;
    rows.push({
      suite: "objectives",
      case: name,
      ours: measured,
      peer: predicted,
      peerName: "what its FLOPs predict",
      unit: "of masked words' tokens/s",
      ratio: measured / predicted,
      ofPeak: null,
    });
    plain.dispose();
    own.dispose();
  }
  return rows;
}
