// Holds our tokenizers against what another library computed; see checkTokenizerFolder.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ClozeError } from "../errors.js";
import { readLines } from "./corpus.js";
import type { Encoding } from "./encoding.js";
import { loadTokenizer, type Tokenizer } from "./tokenizer.js";
import { trainBpe } from "./trainers/bpe.js";
import { trainUnigram } from "./trainers/unigram.js";
import { trainWordPiece } from "./trainers/word-piece.js";
import type { TruncationOptions } from "./truncation.js";
import { codePointIndex, wellFormed } from "./unicode.js";

/** One case, and how our result differs from what was expected ("" where it does not). */
export interface ParityResult {
  case: string;
  ok: boolean;
  difference: string;
}

/** A line of `cases.jsonl`. Offsets are counted in code points. */
interface GoldenCase {
  text: string;
  pair?: string;
  ids: number[];
  tokens: string[];
  offsets: [number, number][];
  type_ids: number[];
  special: number[];
}

/**
 * Holds a folder of golden data against our tokenizer. The folder has one of these:
 * - `tokenizer.json` and `cases.jsonl`: texts, and what they are encoded to;
 * - `corpus.txt` and any of `wordpiece.json`, `bpe.json`, `unigram.json`: what another library's trainers learnt from it;
 * - folders like these.
 *
 * @throws ClozeError `PARITY_FOLDER` for a folder with none of them.
 * @example
 * checkTokenizerFolder("parity/tokenizers").filter(({ ok }) => !ok); // []
 */
export function checkTokenizerFolder(folder: string): ParityResult[] {
  if (existsSync(join(folder, "cases.jsonl"))) return checkCases(folder);
  if (existsSync(join(folder, "corpus.txt"))) return checkTraining(folder);
  const inner = existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
        .sort()
    : [];
  if (inner.length === 0) {
    throw new ClozeError("PARITY_FOLDER", `${folder} holds no golden data for tokenizers.`, {
      expected: "cases.jsonl, corpus.txt, or folders that hold them",
      received: existsSync(folder) ? "a folder without them" : "no such folder",
      remedy: "Check the path.",
    });
  }
  return inner.flatMap((name) =>
    checkTokenizerFolder(join(folder, name)).map((result) => ({ ...result, case: `${name}: ${result.case}` })),
  );
}

function result(name: string, difference: string): ParityResult {
  return { case: name, ok: difference === "", difference };
}

function compareLists(name: string, ours: ArrayLike<unknown>, golden: ArrayLike<unknown>): string {
  const length = Math.max(ours.length, golden.length);
  for (let at = 0; at < length; at++) {
    const [left, right] = [JSON.stringify(ours[at]), JSON.stringify(golden[at])];
    if (left !== right) return `${name}[${at}]: ${left ?? "nothing"} instead of ${right ?? "nothing"}`;
  }
  return "";
}

/** Offsets counted in code points, each in its own text. */
function codePointOffsets({ offsets, sequenceIds }: Encoding, text: string, pair: string): [number, number][] {
  const indexes = [codePointIndex(text), codePointIndex(pair)];
  return offsets.map(([start, end], at) => {
    const index = indexes[sequenceIds[at] ?? 0];
    return [index[start], index[end]];
  });
}

function compareCase(tokenizer: Tokenizer, golden: GoldenCase): string {
  const { truncation } = tokenizer;
  const difference = compareEncoding(tokenizer, golden, {});
  if (difference === "" || truncation === null || golden.pair === undefined) return difference;
  // Releases of the reference differ in which text of a pair gives way.
  const filled = compareEncoding(tokenizer, golden, { truncation: { ...truncation, pairLengths: "filled" } });
  return filled === "" ? "" : difference;
}

function compareEncoding(
  tokenizer: Tokenizer,
  golden: GoldenCase,
  { truncation }: { truncation?: TruncationOptions },
): string {
  const { text, pair } = golden;
  const encoding = tokenizer.encode(text, { pair, truncation });
  const unpadded = golden.ids.filter((_, at) => encoding.attentionMask[at] !== 0);
  const offsets = codePointOffsets(encoding, text, pair ?? "");
  const checks: (() => string)[] = [
    () => compareLists("ids", encoding.ids, golden.ids),
    () => compareLists("tokens", encoding.tokens, golden.tokens),
    () => compareLists("offsets", offsets, golden.offsets),
    () => compareLists("typeIds", encoding.typeIds, golden.type_ids),
    () => compareLists("specialTokensMask", encoding.specialTokensMask, golden.special),
    () => compareLists("encodeIds", tokenizer.encodeIds(text, { pair, truncation }), unpadded),
  ];
  for (const check of checks) {
    const difference = check();
    if (difference !== "") return difference;
  }
  return "";
}

function attempt(run: () => string): string {
  try {
    return run();
  } catch (error) {
    return `threw ${error instanceof Error ? error.message : String(error)}`;
  }
}

function checkCases(folder: string): ParityResult[] {
  const tokenizer = loadTokenizer(folder);
  const results: ParityResult[] = [];
  for (const line of readLines(join(folder, "cases.jsonl"), { longestLine: Number.MAX_SAFE_INTEGER })) {
    const golden = JSON.parse(line) as GoldenCase;
    const texts = [golden.text, ...(golden.pair === undefined ? [] : [golden.pair])];
    const name = `${results.length + 1} ${JSON.stringify(texts.join(" | ").slice(0, 40))}`;
    results.push(
      result(
        name,
        attempt(() => compareCase(tokenizer, golden)),
      ),
    );
  }
  const file = JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8")) as unknown;
  const same = sameJson(tokenizer.toJson(), file);
  results.push(result("toJson equals tokenizer.json", same ? "" : "the JSON differs"));
  return results;
}

/** Whether two values hold the same JSON, whatever the order of their keys. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return left === right;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const keys = Object.keys(left);
  const other = right as Record<string, unknown>;
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && sameJson((left as Record<string, unknown>)[key], other[key]))
  );
}

/** What a trainer must reach: the share of the vocabulary, and the difference in tokens for the same text. */
interface TrainerCheck {
  file: string;
  share: number;
  train: (lines: Iterable<string>, vocabularySize: number, specialTokens: string[]) => Tokenizer;
}

const TRAINERS: readonly TrainerCheck[] = [
  {
    file: "wordpiece.json",
    share: 0.95,
    train: (lines, vocabularySize, specialTokens) => trainWordPiece(lines, { vocabularySize, specialTokens }),
  },
  {
    file: "bpe.json",
    share: 1,
    train: (lines, vocabularySize, specialTokens) => trainBpe(lines, { vocabularySize, specialTokens }),
  },
  {
    file: "unigram.json",
    share: 0.95,
    train: (lines, vocabularySize, specialTokens) =>
      trainUnigram(lines, { vocabularySize, specialTokens, lowercase: false }),
  },
];

function vocabularyOf(tokenizer: Tokenizer): Set<string> {
  return new Set([...tokenizer.model.entries()].map(([token]) => token));
}

/** Trains on the corpus and compares vocabularies, merges, and how many tokens every tenth line becomes. */
function checkTraining(folder: string): ParityResult[] {
  const results: ParityResult[] = [];
  const lines = [...readLines(join(folder, "corpus.txt"))].map(wellFormed);
  for (const { file, share, train } of TRAINERS) {
    if (!existsSync(join(folder, file))) continue;
    const golden = loadTokenizer(join(folder, file));
    const wanted = vocabularyOf(golden);
    const special = [...golden.specialIds].map((id) => golden.idToToken(id) ?? "").filter((token) => token !== "");
    const ours = train(lines, wanted.size, special);
    const shared = [...vocabularyOf(ours)].filter((token) => wanted.has(token)).length;
    const enough = shared >= share * wanted.size;
    results.push(result(`${file}: vocabulary`, enough ? "" : `${shared} of ${wanted.size} tokens shared`));
    const count = (tokenizer: Tokenizer): number =>
      lines
        .filter((_, index) => index % 10 === 0)
        .reduce((total, line) => total + tokenizer.encodeIds(line, { addSpecialTokens: false }).length, 0);
    const ratio = count(ours) / count(golden);
    const close = Math.abs(ratio - 1) <= 0.02;
    results.push(result(`${file}: tokens for the same text`, close ? "" : `${ratio.toFixed(4)} times as many`));
  }
  if (results.length === 0) results.push(result(basename(folder), "no trainer's result to compare with"));
  return results;
}
