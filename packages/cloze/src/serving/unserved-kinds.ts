// Kinds of folders that hold more than a model that is served: without the rest, their encoders would answer something else. A
// new kind is an entry in the list.
import { ClozeError } from "../errors.js";
import { isExitFolder } from "../retrieval/rerank/exit-folder.js";
import { isJointFolder } from "../retrieval/rerank/joint-ranker-folder.js";
import { isParadeFolder } from "../retrieval/rerank/parade-folder.js";
import { isSplitRankerFolder } from "../retrieval/rerank/split-ranker-folder.js";
import { isEpicFolder } from "../retrieval/term-weighting/epic-folder.js";
import { isTildeFolder } from "../retrieval/term-weighting/tilde-folder.js";

export interface UnservedKind {
  /** What such a folder holds, for people. */
  readonly title: string;
  /** What takes it. */
  readonly use: string;
  recognises(folder: string): boolean;
}

const reranks = "--rerank of cloze search and cloze evaluate retrieval, or cloze rerank";

const kinds: readonly UnservedKind[] = [
  { title: "an EPIC", use: "cloze index, cloze search and cloze evaluate retrieval", recognises: isEpicFolder },
  {
    title: "a TILDE",
    use: `--expand-documents of cloze index and cloze evaluate retrieval, ${reranks}`,
    recognises: isTildeFolder,
  },
  { title: "a joint reranker", use: reranks, recognises: isJointFolder },
  { title: "a PARADE reranker", use: reranks, recognises: isParadeFolder },
  { title: "a reranker with early exits", use: reranks, recognises: isExitFolder },
  { title: "a PreTTR reranker", use: reranks, recognises: isSplitRankerFolder },
];

/** The kind of a folder that is not served; undefined for others. */
export const unservedKind = (folder: string): UnservedKind | undefined =>
  kinds.find(({ recognises }) => recognises(folder));

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
