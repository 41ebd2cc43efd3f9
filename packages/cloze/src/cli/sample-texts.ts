// Texts that a model is tried on where the user gives none.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type PatchLayout, packImages } from "../data/image-batch.js";
import { packSequences, type Sequence } from "../data/packed-batch.js";
import type { EncoderBatch } from "../encoder/batch.js";
import type { Model } from "../families/index.js";
import { loadTokenizer } from "../text/index.js";

/** Three texts of different length. */
export const exportTexts: readonly string[] = [
  "Hello",
  "Encoders turn texts into vectors, and vectors are compared by their angle.",
  "The quick brown fox jumps over the lazy dog, while the dog, who has seen this before, goes on sleeping.",
];

/** Texts of several kinds: news, opinions, questions, code, other languages. */
export const measureTexts: readonly string[] = [
  ...exportTexts,
  "Shares fell sharply on Tuesday after the central bank raised its rate by half a point, more than analysts expected.",
  "What a wonderful film: the acting is superb, and I would watch it again tomorrow.",
  "The battery lasts two hours at most, the screen scratches easily, and nobody answers my e-mails. Do not buy it.",
  "How do I reset my password if I no longer have access to my phone?",
  "Mitochondria produce most of the chemical energy that a cell needs to power its biochemical reactions.",
  "In 1969, Neil Armstrong and Buzz Aldrin walked on the Moon; Michael Collins stayed in orbit.",
  "def add(a, b): return a + b",
  "ok thanks!!",
  "The patient was given 5 mg of the drug twice a day for three weeks, without adverse effects.",
  "Der Zug nach Hamburg fährt heute von Gleis sieben ab.",
  "La recette demande deux œufs, un peu de sel et beaucoup de patience.",
  "The parties agree that any dispute arising under this contract shall be settled by arbitration in Geneva.",
  "It rained all night. In the morning the river had risen to the second step of the mill, and the miller's cat sat on the third, looking at it as if it were a mouse that had grown too large.",
];

/** Texts as a model takes them; without a tokenizer, ids in turn. */
export function sampleSequences(
  folder: string,
  { config }: Model,
  texts: readonly string[],
  maxLength = config.maxPositions,
): Sequence[] {
  const longest = Math.min(maxLength, config.maxPositions);
  if (!existsSync(join(folder, "tokenizer.json"))) {
    // Padding inside a text counts as a place in Cloze, and not in RoBERTa; texts have none.
    const id = (i: number): number => (7 * i + 11) % config.vocabularySize;
    const ids = Array.from({ length: 40 }, (_, i) => id(i)).filter((each) => each !== config.padId);
    return texts.map((_, i) => ({ ids: ids.slice(0, Math.min([3, 9, 17][i % 3], longest)) }));
  }
  const tokenizer = loadTokenizer(folder);
  return texts
    .map((text) => ({ ids: tokenizer.encodeIds(text, { truncation: { maxLength: longest } }) }))
    .filter(({ ids }) => ids.length > 0);
}

/** As many images, with pixels between -1 and 1. */
function sampleImages(layout: PatchLayout): EncoderBatch {
  const size = exportTexts.length * layout.channels * layout.imageSize[0] * layout.imageSize[1];
  return packImages(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
    layout,
  );
}

/** What an exported model is tried on: texts, or images where the model reads those. */
export function sampleBatch(folder: string, model: Model): EncoderBatch {
  const { embeddings } = model.config;
  return "imageSize" in embeddings
    ? sampleImages(embeddings)
    : packSequences(sampleSequences(folder, model, exportTexts));
}
