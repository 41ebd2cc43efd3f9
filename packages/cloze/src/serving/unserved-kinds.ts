// Kinds of folders that hold more than a model that is served: without the rest, their encoders would answer something else. A
// new kind is an entry in the list.
import { holdsPart } from "../encoder/part-files.js";
import { ClozeError } from "../errors.js";

export interface UnservedKind {
  /** What such a folder holds, for people. */
  readonly title: string;
  /** What takes it. */
  readonly use: string;
  /** Its name in folders. What reads it is not loaded to start a server. */
  readonly part: string;
}

const reranks = "--rerank of cloze search and cloze evaluate retrieval, or cloze rerank";

/** A weighter's folder is told apart: an index of its weights reads queries with it. */
const weighter: UnservedKind = {
  title: "a weighter of words",
  use: "cloze index, cloze search and cloze evaluate retrieval; cloze serve takes it beside the --index that it made",
  part: "term-weighter",
};

const kinds: readonly UnservedKind[] = [
  weighter,
  { title: "an EPIC", use: "cloze index, cloze search and cloze evaluate retrieval", part: "epic" },
  {
    title: "a TILDE",
    use: `--expand-documents of cloze index and cloze evaluate retrieval, ${reranks}`,
    part: "tilde",
  },
  { title: "a joint reranker", use: reranks, part: "joint" },
  { title: "a PARADE reranker", use: reranks, part: "parade" },
  { title: "a reranker with early exits", use: reranks, part: "early-exit" },
  { title: "a PreTTR reranker", use: reranks, part: "prettr" },
];

/** The kind of a folder that is not served; undefined for others. */
export const unservedKind = (folder: string): UnservedKind | undefined =>
  kinds.find(({ part }) => holdsPart(folder, part));

/** Whether a folder holds a weighter of words: nothing is served by it alone. */
export const holdsWeighter = (folder: string): boolean => holdsPart(folder, weighter.part);

/** Refuses folders of such kinds. @throws MODEL_UNSUPPORTED */
export function checkServed(folder: string): void {
  const kind = unservedKind(folder);
  if (kind === undefined) return;
  throw new ClozeError("MODEL_UNSUPPORTED", `The server cannot serve ${folder}: it holds ${kind.title}`, {
    expected: "an embedder, an encoder of weighted terms or tokens, or a model with a task's head",
    received: kind.title,
    remedy: `It is for ${kind.use}.`,
  });
}
