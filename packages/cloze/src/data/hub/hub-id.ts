import { ClozeError } from "../../errors.js";

export type RepositoryType = "model" | "dataset";

/** A repository of the hub, at a branch, tag, pull request or commit. */
export interface HubId {
  /** "org/name", or a bare name such as "gpt2". */
  readonly name: string;
  readonly revision: string | undefined;
}

const part = /^[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?$/;

const isName = (name: string): boolean =>
  name.length <= 96 &&
  name.split("/").length <= 2 &&
  name.split("/").every((piece) => part.test(piece)) &&
  !/--|\.\.|\.git$/.test(name);

// A revision becomes a path under refs/ and snapshots/.
const isRevision = (revision: string): boolean =>
  /^[\w.+/-]+$/.test(revision) && revision.split("/").every((piece) => piece !== "" && !/^\.|\.$|\.\./.test(piece));

/** "org/name", "name" or "org/name@revision"; undefined for any other text, such as a path. */
export function readHubId(text: string): HubId | undefined {
  const at = text.indexOf("@");
  const name = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? undefined : text.slice(at + 1);
  if (!isName(name) || (revision !== undefined && !isRevision(revision))) return undefined;
  return { name, revision };
}

/**
 * The same, for a text that must be an id.
 *
 * @throws HUB_ID_INVALID
 */
export function parseHubId(text: string): HubId {
  const id = readHubId(text);
  if (id !== undefined) return id;
  throw new ClozeError("HUB_ID_INVALID", "This is no id of the hub", {
    expected: "org/name or org/name@revision",
    received: JSON.stringify(text),
  });
}
