// Texts as documents: paragraphs by blank lines, sentences by Unicode's rules, documents by two blank lines, form feeds or files.
import { ClozeError } from "../errors.js";

/** A paragraph, and the titles that its links lead to. */
export interface TextParagraph {
  readonly text: string;
  readonly links?: readonly string[];
}

export interface TextDocument {
  readonly title?: string;
  readonly sections: readonly (readonly TextParagraph[])[];
}

/** Shorter pieces are left out, as in arXiv 2309.08272; in characters. */
export interface DocumentLimits {
  /** Default 20. */
  sentence?: number;
  /** Default 60. */
  paragraph?: number;
  /** Default 200. */
  document?: number;
}

/** The sentences of a text, without blanks around them. */
export function splitSentences(text: string, language = "en"): string[] {
  const segmenter = new Intl.Segmenter(language, { granularity: "sentence" });
  return Array.from(segmenter.segment(text), ({ segment }) => segment.trim()).filter((sentence) => sentence !== "");
}

/** Documents of plain text, from its lines. */
export function* documentsOfLines(lines: Iterable<string>): Iterable<TextDocument> {
  let paragraphs: string[] = [];
  let open: string[] = [];
  let blank = 0;
  const close = () => {
    if (open.length > 0) paragraphs.push(open.join(" "));
    open = [];
  };
  const document = (): TextDocument => ({ sections: [paragraphs.map((text) => ({ text }))] });
  for (const line of lines) {
    const content = line.trim();
    if (content !== "" && !line.includes("\f")) {
      if (blank >= 2 && paragraphs.length > 0) {
        yield document();
        paragraphs = [];
      }
      blank = 0;
      open.push(content);
      continue;
    }
    close();
    blank += line.includes("\f") ? 2 : 1;
    const rest = line.replaceAll("\f", "").trim();
    if (rest !== "") {
      if (paragraphs.length > 0) yield document();
      paragraphs = [];
      blank = 0;
      open.push(rest);
    }
  }
  close();
  if (paragraphs.length > 0) yield document();
}

/**
 * A document of a JSON line: `{ title?, text }` with paragraphs between blank lines, or `{ title?, sections: [[…]] }` with
 * paragraphs as texts or as `{ text, links: [titles] }`.
 *
 * @throws DOCUMENT_FORMAT
 */
export function documentOfJson(value: unknown): TextDocument {
  const fail = (received: unknown): never => {
    throw new ClozeError("DOCUMENT_FORMAT", "A document is a JSON object with its text or its sections", {
      expected:
        '{ "title": …, "text": … } or { "title": …, "sections": [["a paragraph", { "text": …, "links": […] }]] }',
      received: (JSON.stringify(received) ?? "nothing").slice(0, 80),
    });
  };
  if (typeof value !== "object" || value === null) return fail(value);
  const { title, text, sections } = value as Record<string, unknown>;
  const named = typeof title === "string" && title !== "" ? { title } : {};
  if (typeof text === "string") {
    const paragraphs = text.split(/\n\s*\n/).filter((part) => part.trim() !== "");
    return { ...named, sections: [paragraphs.map((part) => ({ text: part.replace(/\s+/g, " ").trim() }))] };
  }
  if (!Array.isArray(sections)) return fail(value);
  const paragraph = (item: unknown): TextParagraph => {
    if (typeof item === "string") return { text: item };
    const { text: own, links } = (item ?? {}) as Record<string, unknown>;
    if (typeof own !== "string") return fail(item);
    return Array.isArray(links) ? { text: own, links: links.map(String) } : { text: own };
  };
  return {
    ...named,
    sections: sections.map((section) => (Array.isArray(section) ? section.map(paragraph) : fail(section))),
  };
}

/** A document's sentences, without what is too short; undefined where too little is left. */
export function cleanDocument(document: TextDocument, limits: DocumentLimits = {}) {
  const { sentence = 20, paragraph = 60, document: whole = 200 } = limits;
  const sections = document.sections.map((section) =>
    section.flatMap(({ text, links }) => {
      const sentences = splitSentences(text).filter(({ length }) => length >= sentence);
      const length = sentences.reduce((sum, part) => sum + part.length, 0);
      return sentences.length > 0 && length >= paragraph ? [{ sentences, links, length }] : [];
    }),
  );
  const length = sections.flat().reduce((sum, part) => sum + part.length, 0);
  if (length < whole) return undefined;
  return { title: document.title, sections: sections.filter((section) => section.length > 0) };
}
