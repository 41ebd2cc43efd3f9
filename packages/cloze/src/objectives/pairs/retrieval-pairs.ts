// Pairs of a query and a passage out of articles, for retrieval without labels (arXiv 2002.03932).
import type { DocumentSource, TokenDocument, TokenParagraph } from "../../data/document-source.js";
import type { RandomSource } from "../../data/random-source.js";

/** A query and the passage that answers it, without special tokens. */
export interface RetrievalPair {
  readonly query: Int32Array;
  /** Title of the passage's article; empty where there is none. */
  readonly title: Int32Array;
  readonly passage: Int32Array;
  readonly task: "ict" | "bfs" | "wlp";
  /** Articles of the query and of the passage, and the passage's paragraph. */
  readonly from: number;
  readonly to: number;
  readonly paragraph: number;
  /** log of the chance that this passage is drawn, given the article that was drawn first. */
  readonly logChance: number;
}

const joined = (sentences: readonly Int32Array[]): Int32Array => Int32Array.from(sentences.flatMap((ids) => [...ids]));
const pick = <T>(items: readonly T[], random: RandomSource): T => items[Math.floor(random() * items.length)];
const paragraphsOf = ({ sections }: TokenDocument): readonly TokenParagraph[] => sections.flat();

/** Makes a pair of an article; undefined where it has none. */
export type RetrievalPairMaker = (
  articles: DocumentSource,
  position: number,
  random: RandomSource,
  options?: { keepQuery?: number },
) => RetrievalPair | undefined;

/**
 * Inverse cloze: a sentence asks for the other sentences of its passage. With the chance `keepQuery` (0.1) it stays in the
 * passage, so that common words are worth something too.
 */
export const inverseCloze: RetrievalPairMaker = (articles, position, random, { keepQuery = 0.1 } = {}) => {
  const article = articles.document(position);
  const paragraphs = paragraphsOf(article);
  const able = [...paragraphs.keys()].filter((p) => paragraphs[p].sentences.length >= 2);
  if (able.length === 0) return undefined;
  const paragraph = pick(able, random);
  const { sentences } = paragraphs[paragraph];
  const chosen = Math.floor(random() * sentences.length);
  const keeps = random() < keepQuery;
  return {
    query: sentences[chosen],
    title: article.title,
    passage: joined(keeps ? sentences : sentences.filter((_, s) => s !== chosen)),
    task: "ict",
    from: position,
    to: position,
    paragraph,
    logChance: -Math.log(able.length),
  };
};

/** A sentence of the article's first section, and its paragraph. */
function leadSentence(article: TokenDocument, random: RandomSource) {
  const lead = (article.sections[0] ?? []).flatMap(({ sentences }, paragraph) =>
    sentences.map((sentence) => ({ sentence, paragraph })),
  );
  return lead.length === 0 ? undefined : pick(lead, random);
}

/** Body first: a sentence of the first section asks for another passage of the article. */
export const bodyFirst: RetrievalPairMaker = (articles, position, random) => {
  const article = articles.document(position);
  const lead = leadSentence(article, random);
  if (lead === undefined) return undefined;
  const paragraphs = paragraphsOf(article);
  const others = [...paragraphs.keys()].filter((p) => p !== lead.paragraph);
  if (others.length === 0) return undefined;
  const paragraph = pick(others, random);
  return {
    query: lead.sentence,
    title: article.title,
    passage: joined(paragraphs[paragraph].sentences),
    task: "bfs",
    from: position,
    to: position,
    paragraph,
    logChance: -Math.log(others.length),
  };
};

/** Passages that link to each article. */
function linksTo(articles: DocumentSource): Map<number, { article: number; paragraph: number }[]> {
  const found = new Map<number, { article: number; paragraph: number }[]>();
  for (let article = 0; article < articles.count; article++) {
    paragraphsOf(articles.document(article)).forEach(({ links = [] }, paragraph) => {
      for (const target of links) {
        if (target === article) continue;
        const known = found.get(target);
        if (known === undefined) found.set(target, [{ article, paragraph }]);
        else known.push({ article, paragraph });
      }
    });
  }
  return found;
}

const indexed = new WeakMap<DocumentSource, ReturnType<typeof linksTo>>();

/** Wiki links: a sentence of the first section asks for a passage of another article that links to this one. */
export const linkedPassage: RetrievalPairMaker = (articles, position, random) => {
  let links = indexed.get(articles);
  if (links === undefined) {
    links = linksTo(articles);
    indexed.set(articles, links);
  }
  const sources = links.get(position) ?? [];
  const lead = leadSentence(articles.document(position), random);
  if (lead === undefined || sources.length === 0) return undefined;
  const { article, paragraph } = pick(sources, random);
  const source = articles.document(article);
  return {
    query: lead.sentence,
    title: source.title,
    passage: joined(paragraphsOf(source)[paragraph].sentences),
    task: "wlp",
    from: position,
    to: article,
    paragraph,
    logChance: -Math.log(sources.length),
  };
};

/** The three makers by the names of the paper's tasks. */
export const retrievalPairMakers = { ict: inverseCloze, bfs: bodyFirst, wlp: linkedPassage } as const;
