// Encoders of several kinds behind one option: of texts, of weighted terms, of tokens.
import type { DataWarnings } from "../data/readers/warnings.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { emptyCounts, type TextCounts } from "../embedding/text-roles.js";
import { isTokenEncoderFolder, loadTokenEncoder } from "../embedding/token-encoder/token-encoder-folder.js";
import { ClozeError } from "../errors.js";
import { numberTerms } from "../retrieval/term-weighting/term-impacts.js";
import { isTermWeighterFolder, loadTermWeighter } from "../retrieval/term-weighting/term-weighter-folder.js";
import type { CollectionIndex, CollectionIndexOptions } from "../retrieval/test-collection/index.js";
import { isTermEncoderFolder, loadTermEncoder } from "./term-encoders.js";
import { vectorsOf } from "./text-vectors.js";

/** What an encoder gives an index, and the retriever that comes of it. */
interface OpenedEncoder {
  readonly parts: Pick<CollectionIndexOptions, "vectors" | "sparse" | "tokens">;
  readonly found: keyof Pick<CollectionIndex, "dense" | "sparse" | "tokens">;
  dispose(): void;
}

interface EncoderSettings {
  readonly tokenBudget: number;
  readonly warnings: DataWarnings;
}

/** Encodes, and counts the texts that were cut. */
export function counting<Vector>(
  encoder: {
    encode(
      texts: readonly string[],
      options: { role?: "query" | "document"; tokenBudget?: number; counts?: TextCounts },
    ): Vector[];
  },
  { warnings, tokenBudget }: { warnings: DataWarnings; tokenBudget?: number },
) {
  return {
    encode(texts: readonly string[], { role = "document" }: { role?: "query" | "document" } = {}): Vector[] {
      const counts = emptyCounts();
      const vectors = encoder.encode(texts, { role, tokenBudget, counts });
      if (counts.truncatedTexts > 0)
        warnings.add(
          "TEXT_CUT",
          "texts longer than the limit; what is beyond is not indexed",
          `${role}s`,
          counts.truncatedTexts,
        );
      return vectors;
    },
  };
}

type EncoderOpener = (folder: string, settings: EncoderSettings) => OpenedEncoder;

const dense: EncoderOpener = (folder, settings) => {
  const embedder = loadEmbedder(folder);
  return { parts: { vectors: vectorsOf(embedder, settings) }, found: "dense", dispose: () => embedder.dispose() };
};

/** By the pipeline that asks. */
const openers: Readonly<Record<"dense" | "hybrid" | "splade" | "colbert" | "term-weights", EncoderOpener>> = {
  dense,
  hybrid: dense,
  splade(folder, { warnings }) {
    const encoder = loadTermEncoder(folder);
    return {
      parts: { sparse: counting(encoder, { warnings }) },
      found: "sparse",
      dispose: () => encoder.dispose(),
    };
  },
  colbert(folder, settings) {
    if (!isTokenEncoderFolder(folder)) {
      throw new ClozeError("ENCODER_KIND", `${folder} gives no vectors of tokens`, {
        expected: "an encoder that was trained for late interaction",
        remedy: "Train one: cloze train pairs.jsonl --encoder colbert --model … --out …",
      });
    }
    const encoder = loadTokenEncoder(folder);
    return {
      parts: { tokens: { width: encoder.width, ...counting(encoder, settings) } },
      found: "tokens",
      dispose: () => encoder.dispose(),
    };
  },
  "term-weights"(folder, settings) {
    if (!isTermWeighterFolder(folder)) {
      throw new ClozeError("ENCODER_KIND", `${folder} gives no weights of words`, {
        expected: "a weighter of words",
        remedy: "Train one: cloze train-retrieval --part deepimpact --data … --model … --out …",
      });
    }
    const weighter = loadTermWeighter(folder);
    return {
      parts: { sparse: numberTerms(counting(weighter, settings)) },
      found: "sparse",
      dispose: () => weighter.dispose(),
    };
  },
};

/** The pipeline that a model's folder is made for. */
export function pipelineOf(folder: string): "dense" | "splade" | "colbert" | "term-weights" {
  if (isTermEncoderFolder(folder)) return "splade";
  if (isTermWeighterFolder(folder)) return "term-weights";
  return isTokenEncoderFolder(folder) ? "colbert" : "dense";
}

/** Opens a folder as the pipeline needs it. @throws ENCODER_KIND, SPLADE_HEAD, and what loading throws */
export const encoderFor = (pipeline: keyof typeof openers, folder: string, settings: EncoderSettings): OpenedEncoder =>
  openers[pipeline](folder, settings);
