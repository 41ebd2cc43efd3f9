import { ClozeError } from "../../errors.js";

/** How often each character occurs in counted pieces, most frequent first; ties in the order of the code points. */
export function countCharacters(pieces: ReadonlyMap<string, number>): [string, number][] {
  const counts = new Map<string, number>();
  for (const [piece, count] of pieces) {
    for (const character of piece) counts.set(character, (counts.get(character) ?? 0) + count);
  }
  const byPoint = (left: string, right: string): number => left.codePointAt(0)! - right.codePointAt(0)!;
  return [...counts].sort((left, right) => right[1] - left[1] || byPoint(left[0], right[0]));
}

/** Characters in the order of their code points, which is the order of their ids. */
export function inCodePointOrder(characters: readonly string[]): string[] {
  return [...characters].sort((left, right) => left.codePointAt(0)! - right.codePointAt(0)!);
}

/** Checks what all trainers are told. */
export function checkTrainerOptions(
  vocabularySize: number,
  minFrequency: number,
  specialTokens: readonly string[],
): void {
  const fail = (message: string, expected: string, received: string, remedy: string): ClozeError =>
    new ClozeError("TOKENIZER_TRAINER_OPTIONS", message, { expected, received, remedy });
  if (!Number.isInteger(vocabularySize) || vocabularySize < 1 || vocabularySize > 0x2000000) {
    throw fail(
      "vocabularySize cannot be used.",
      "a whole number from 1 to 33,554,432",
      String(vocabularySize),
      "BERT has 30,522.",
    );
  }
  if (!(minFrequency >= 0)) {
    throw fail("minFrequency cannot be used.", "a number, 0 or more", String(minFrequency), "2 is usual.");
  }
  const bad = specialTokens.find((token) => typeof token !== "string" || token === "");
  if (bad !== undefined) {
    throw fail("A special token cannot be used.", "text that is not empty", JSON.stringify(bad), "Leave it out.");
  }
  if (specialTokens.length >= vocabularySize) {
    throw fail(
      "The vocabulary has no room for anything but special tokens.",
      `a vocabularySize above ${specialTokens.length}`,
      String(vocabularySize),
      "Raise vocabularySize.",
    );
  }
}

/** The error for a corpus without words. */
export function emptyCorpus(): ClozeError {
  return new ClozeError("TOKENIZER_EMPTY_CORPUS", "There is nothing to learn a vocabulary from.", {
    expected: "texts with words in them",
    received: "no text, or only white space",
    remedy: "Check the paths of the corpus and the fields that are read from it.",
  });
}

/** Special tokens without repetition: those given, then those that are needed. */
export function joinSpecialTokens(given: readonly string[], needed: readonly string[]): string[] {
  const first = given.includes(needed[0]) ? given : needed;
  return [...new Set([...first, ...given, ...needed])];
}
