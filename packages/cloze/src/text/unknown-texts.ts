import type { Tokenizer } from "./tokenizer.js";

/** What to do about such texts, for notes and warnings. */
export const unknownRemedy =
  "take a tokenizer that knows their letters, or add what is missing (extendTokenizer; cloze pretrain --extend-vocabulary)";

/** Counts texts of which a vocabulary writes nothing but its unknown token: whatever they say, they are all alike. */
export interface UnknownTexts {
  /** @param ids of a text, special tokens and all */
  add(ids: ArrayLike<number>): void;
  /** Texts that were added. */
  readonly texts: number;
  /** Those of them that are unknown tokens alone, one at least. */
  readonly unknown: number;
  /** What there is to say, where there is anything. */
  note(): string | undefined;
}

/**
 * Starts a count. A vocabulary without an unknown token has none of these texts.
 *
 * @example
 * const count = countUnknown(tokenizer);
 * for (const text of texts) count.add(tokenizer.encodeIds(text));
 * count.note(); // "2 of 10 texts became only [UNK] with this vocabulary: …"
 */
export function countUnknown({
  roles,
  specialIds,
  model,
}: Pick<Tokenizer, "roles" | "specialIds" | "model">): UnknownTexts {
  const { unknown: id } = roles;
  let [texts, unknown] = [0, 0];
  return {
    add(ids) {
      texts++;
      if (id === undefined) return;
      let some = false;
      for (let i = 0; i < ids.length; i++) {
        if (ids[i] === id) some = true;
        else if (!specialIds.has(ids[i])) return;
      }
      unknown += Number(some);
    },
    get texts() {
      return texts;
    },
    get unknown() {
      return unknown;
    },
    note() {
      if (unknown === 0 || id === undefined) return undefined;
      const token = model.idToToken(id) ?? "unknown tokens";
      return `${unknown} of ${texts} texts became only ${token} with this vocabulary: nothing tells them apart, and they teach nothing. They stay in; ${unknownRemedy}`;
    },
  };
}
