// Pairs of spans out of documents, for answer-sentence selection without labels (arXiv 2309.08272, 2205.10455).
import type { DocumentSource, TokenDocument } from "../../data/document-source.js";
import { type RandomSource, randomOrder } from "../../data/random-source.js";

/** Two texts without special tokens, whether they belong together, and where they come from. */
export interface StructuralPair {
  readonly first: Int32Array;
  readonly second: Int32Array;
  /** 1: they belong together. */
  readonly label: 0 | 1;
  /** Document and paragraph of each. */
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  /** Spans: their sentences in these paragraphs, from the first to behind the last. */
  readonly fromSentences?: SentenceRange;
  readonly toSentences?: SentenceRange;
}

/** Sentences of a paragraph: from the first to behind the last. */
export type SentenceRange = readonly [number, number];

export interface PairOptions {
  /** Sentences of a first span, at most. Default 1. */
  firstSentences?: number;
  /** Of a second span, at most. Default 2. */
  secondSentences?: number;
  /** Negatives from other paragraphs of the document, at most. Default 2. */
  hardNegatives?: number;
  /** Negatives in all, at most. Default 4. */
  negatives?: number;
  /** "following": the second span stands after the first one; a negative may stand before it. Default "same". */
  order?: "same" | "following";
}

const joined = (sentences: readonly Int32Array[]): Int32Array => Int32Array.from(sentences.flatMap((ids) => [...ids]));
const below = (count: number, random: RandomSource): number => Math.floor(random() * count);
const paragraphsOf = ({ sections }: TokenDocument) => sections.flat();

/** Part of a paragraph as the second text of a pair. */
type Cut = (sentences: readonly Int32Array[]) => Pick<StructuralPair, "second" | "toSentences">;

/** A random run of 1 to `most` sentences. */
const span =
  (most: number, random: RandomSource): Cut =>
  (sentences) => {
    const length = 1 + below(Math.min(most, sentences.length), random);
    const start = below(sentences.length - length + 1, random);
    return { second: joined(sentences.slice(start, start + length)), toSentences: [start, start + length] };
  };
const whole: Cut = (sentences) => ({ second: joined(sentences) });

/** Another document than this one; undefined where there is none with a paragraph. */
function elsewhere(documents: DocumentSource, own: number, random: RandomSource) {
  const { count, reach = count } = documents;
  if (reach < 2) return undefined;
  const position = (own + 1 + below(reach - 1, random)) % reach;
  const paragraphs = paragraphsOf(documents.document(position));
  return paragraphs.length === 0 ? undefined : { position, paragraphs };
}

/** Makes the pairs of one document: a positive first, then negatives; empty where it has nothing to pair. */
export type PairMaker = (
  documents: DocumentSource,
  position: number,
  random: RandomSource,
  options?: PairOptions,
) => StructuralPair[];

/** Fills up with spans of other documents. */
function easy(
  documents: DocumentSource,
  position: number,
  anchor: StructuralPair,
  count: number,
  random: RandomSource,
  cut: Cut,
): StructuralPair[] {
  return Array.from({ length: count }, () => elsewhere(documents, position, random)).flatMap((other) => {
    if (other === undefined) return [];
    const paragraph = below(other.paragraphs.length, random);
    const { sentences } = other.paragraphs[paragraph];
    return [{ ...anchor, ...cut(sentences), label: 0 as const, to: [other.position, paragraph] as const }];
  });
}

/** Other paragraphs of the document, in random order. */
function otherParagraphs(count: number, own: number, random: RandomSource): number[] {
  return Array.from(randomOrder(count, random)).filter((paragraph) => paragraph !== own);
}

/** Spans in the same paragraph: two spans that do not overlap; negatives from other paragraphs, and other documents. */
export const sameParagraphPairs: PairMaker = (documents, position, random, options = {}) => {
  const { firstSentences = 1, secondSentences = 2, hardNegatives = 2, negatives = 4, order = "same" } = options;
  const paragraphs = paragraphsOf(documents.document(position));
  const able = [...paragraphs.keys()].filter((p) => paragraphs[p].sentences.length >= 2);
  if (able.length === 0) return [];
  const own = able[below(able.length, random)];
  const { sentences } = paragraphs[own];
  // The shared boundary lies between two sentences, so that each side has at least one.
  const length = Math.min(1 + below(firstSentences, random), sentences.length - 1);
  const start = below(sentences.length - length, random);
  const after = sentences.slice(start + length);
  const size = Math.min(1 + below(secondSentences, random), after.length);
  const gap = below(after.length - size + 1, random);
  const [premise, consequence] = [joined(sentences.slice(start, start + length)), joined(after.slice(gap, gap + size))];
  const turned = order === "same" && random() < 0.5;
  const ranges: [SentenceRange, SentenceRange] = [
    [start, start + length],
    [start + length + gap, start + length + gap + size],
  ];
  const [first, second] = turned ? [consequence, premise] : [premise, consequence];
  const [fromSentences, toSentences] = turned ? ranges.reverse() : ranges;
  const place: readonly [number, number] = [position, own];
  const positive: StructuralPair = { first, second, label: 1, from: place, to: place, fromSentences, toSentences };
  const cut = span(secondSentences, random);
  const made: StructuralPair[] = [];
  if (order === "following" && start > 0) {
    made.push({ ...positive, ...cut(sentences.slice(0, start)), label: 0 });
  }
  for (const paragraph of otherParagraphs(paragraphs.length, own, random).slice(0, hardNegatives)) {
    made.push({ ...positive, ...cut(paragraphs[paragraph].sentences), label: 0, to: [position, paragraph] });
  }
  made.push(...easy(documents, position, positive, Math.max(0, negatives - made.length), random, cut));
  return [positive, ...made.slice(0, negatives)];
};

/** Span in paragraph: was it cut out of that paragraph? It is removed from it. */
export const spanInParagraphPairs: PairMaker = (documents, position, random, options = {}) => {
  const { firstSentences = 1, hardNegatives = 2, negatives = 4 } = options;
  const paragraphs = paragraphsOf(documents.document(position));
  const able = [...paragraphs.keys()].filter((p) => paragraphs[p].sentences.length >= 2);
  if (able.length === 0) return [];
  const own = able[below(able.length, random)];
  const { sentences } = paragraphs[own];
  const length = Math.min(1 + below(firstSentences, random), sentences.length - 1);
  const start = below(sentences.length - length + 1, random);
  const rest = [...sentences.slice(0, start), ...sentences.slice(start + length)];
  const positive: StructuralPair = {
    first: joined(sentences.slice(start, start + length)),
    second: joined(rest),
    label: 1,
    from: [position, own],
    to: [position, own],
  };
  const made = otherParagraphs(paragraphs.length, own, random)
    .slice(0, hardNegatives)
    .map((paragraph): StructuralPair => {
      const second = joined(paragraphs[paragraph].sentences);
      return { ...positive, second, label: 0, to: [position, paragraph] };
    });
  made.push(...easy(documents, position, positive, Math.max(0, negatives - made.length), random, whole));
  return [positive, ...made.slice(0, negatives)];
};

/** Paragraphs in the same document: two of one, or of different ones. */
export const sameDocumentPairs: PairMaker = (documents, position, random, { negatives = 4 } = {}) => {
  const paragraphs = paragraphsOf(documents.document(position));
  if (paragraphs.length < 2) return [];
  const [own, other] = randomOrder(paragraphs.length, random);
  const positive: StructuralPair = {
    first: joined(paragraphs[own].sentences),
    second: joined(paragraphs[other].sentences),
    label: 1,
    from: [position, own],
    to: [position, other],
  };
  return [positive, ...easy(documents, position, positive, negatives, random, whole)];
};

export const pairMakers = {
  "same-paragraph": sameParagraphPairs,
  "span-in-paragraph": spanInParagraphPairs,
  "same-document": sameDocumentPairs,
} as const;
