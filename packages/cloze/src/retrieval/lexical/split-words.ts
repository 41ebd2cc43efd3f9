// Texts to words for the inverted index.

/** What an ASCII code is in a word: 1 inside, 2 a capital, 0 not. */
const kinds = new Uint8Array(128);
for (let code = 0; code < 128; code++) {
  const mark = String.fromCharCode(code);
  kinds[code] = /[a-z0-9]/.test(mark) ? 1 : /[A-Z]/.test(mark) ? 2 : 0;
}

const wordPattern = /[\p{L}\p{N}\p{M}]+/gu;
/** Scripts that write no spaces: their runs are cut into pairs of characters that overlap. */
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}\p{Script=Lao}]/u;
const unspacedRun =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}\p{Script=Lao}\p{M}ー]+|[^\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}\p{Script=Lao}]+/gu;

function pairsOf(word: string, words: string[]): void {
  for (const [run] of word.matchAll(unspacedRun)) {
    const marks = unspaced.test(run) ? [...run] : [run];
    if (marks.length === 1) words.push(run);
    for (let i = 1; i < marks.length; i++) words.push(marks[i - 1] + marks[i]);
  }
}

function splitAny(text: string): string[] {
  const words: string[] = [];
  for (const [word] of text.normalize("NFC").toLowerCase().matchAll(wordPattern)) {
    if (unspaced.test(word)) pairsOf(word, words);
    else words.push(word);
  }
  return words;
}

/**
 * Lower-case runs of letters, digits and the marks on them; where a script writes no spaces (Chinese, Japanese, Thai),
 * every pair of neighbouring characters.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let start = -1;
  let capitals = false;
  // Most texts are ASCII, and a loop over their codes is several times faster than a pattern.
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0;
    if (code > 127) return splitAny(text);
    const kind = kinds[code];
    if (kind !== 0) {
      if (start < 0) start = i;
      if (kind === 2) capitals = true;
    } else if (start >= 0) {
      const word = text.slice(start, i);
      words.push(capitals ? word.toLowerCase() : word);
      start = -1;
      capitals = false;
    }
  }
  return words;
}
