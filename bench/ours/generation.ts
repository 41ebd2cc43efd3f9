// Our side of the suite `generation`.
import { memory } from "@cloze/tensor";
import { createModel, generate, saveModel, trainWordLevel, uniformEncoder, withDirection } from "cloze";
import { randomSource } from "../harness.js";

/** GPT-2 small: the shape of the model that both sides run, with random weights. */
const shape = { vocabularySize: 50257, hiddenSize: 768, layers: 12, heads: 12, maxPositions: 1024 };

export interface GenerationWork {
  /** Tokens of the prompt. */
  readonly prompt: number;
  readonly newTokens: number;
  readonly beams: number;
}

/** A decoder and texts for it. */
export interface Generation {
  /** The model as transformers opens it. */
  save(folder: string): void;
  promptIds(work: GenerationWork): number[];
  /** Goes on with the likeliest tokens, or by beams. @returns what was added */
  run(work: GenerationWork, cache: boolean): readonly number[];
  /** Bytes that the last run had at once, beside the weights. */
  peakBytes(): number;
  close(): void;
}

export function prepareGeneration(): Generation {
  const decoder = uniformEncoder({
    ...shape,
    segmentVocabularySize: 0,
    padId: null,
    normPosition: "pre",
    normEpsilon: 1e-5,
    embeddings: { norm: false, paddingRow: false },
  });
  const model = createModel({
    architecture: "LMHeadModel",
    config: withDirection(decoder, "causal"),
    head: { type: "causal-language", transform: null, decoderBias: false },
  });
  const words = Array.from({ length: shape.vocabularySize }, (_, i) => `w${i}`);
  const tokenizer = trainWordLevel([words.join(" ")], { vocabularySize: shape.vocabularySize });
  const textOf = ({ prompt }: GenerationWork): string => {
    const next = randomSource(prompt);
    // The first token is the mark of a beginning.
    return Array.from({ length: prompt - 1 }, () => words[Math.floor(next() * 50000)]).join(" ");
  };
  let live = 0;
  return {
    save: (folder) => saveModel(model, folder),
    promptIds: (work) => [tokenizer.clsId, ...tokenizer.encodeIds(textOf(work), { addSpecialTokens: false })],
    run(work, cache) {
      live = memory.stats().liveBytes;
      memory.resetPeak();
      const { newTokens: maxNewTokens, beams } = work;
      const how = beams > 1 ? { beams } : { temperature: 0 };
      return generate(model, tokenizer, textOf(work), { ...how, maxNewTokens, cache }).ids;
    },
    peakBytes: () => memory.stats().peakBytes - live,
    close: () => model.dispose(),
  };
}
