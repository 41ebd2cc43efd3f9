// The documents that `cloze pretrain` reads with their paragraphs: of the same files as other objectives' texts.
import { join } from "node:path";
import type { DocumentSource } from "../data/document-source.js";
import { ClozeError } from "../errors.js";
import type { Tokenizer } from "../text/index.js";
import { buildDocuments } from "../training/build-documents.js";
import type { ProgressReporter } from "../training/progress.js";
import type { CorpusOptions } from "./corpus-options.js";
import { noteWarnings } from "./data-options.js";

type DocumentOptions = Pick<
  CorpusOptions,
  "textField" | "deduplicate" | "nearThreshold" | "validationShare" | "weights" | "crossDocuments" | "corpus"
> & { out: string; resume?: boolean };

/**
 * Tokenizes the documents of a run, or opens what an earlier run has made of them.
 *
 * @throws OPTION_CONFLICT for what documents do not have, and what `buildDocuments` throws
 */
export async function documentCorpus(
  sources: readonly string[],
  tokenizer: Tokenizer,
  options: DocumentOptions,
  progress: ProgressReporter,
): Promise<DocumentSource & { close(): void }> {
  const { textField, deduplicate, nearThreshold, validationShare, corpus, out, resume } = options;
  const told = [options.weights && "--weights", options.crossDocuments && "--cross-documents"].filter(Boolean);
  if (told.length > 0) {
    throw new ClozeError("OPTION_CONFLICT", "This objective reads documents with their paragraphs, one by one", {
      expected: "an objective that reads tokens in a row",
      received: told.join(", "),
      remedy: "Leave it out.",
    });
  }
  const { documents, warnings, counts, built } = await buildDocuments({
    sources,
    tokenizer,
    path: join(corpus ?? out, "documents.bin"),
    textField,
    deduplicate,
    ...(deduplicate === "near" ? { nearThreshold } : {}),
    validationShare,
    resume: resume === true || corpus !== undefined,
  });
  noteWarnings(progress, warnings);
  const facts = [`${counts.training} documents, ${documents.tokens} tokens`];
  if (counts.validation > 0) facts.push(`${counts.validation} documents held out`);
  if (counts.duplicates > 0) facts.push(`${counts.duplicates} left out as duplicates`);
  if (built && counts.short > 0) facts.push(`${counts.short} left out as too short`);
  progress.note(facts.join("; "));
  return documents;
}
