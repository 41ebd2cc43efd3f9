// A part of a corpus becomes shards: what a worker does, and what runs in its place where there are none.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import type { Tokenizer } from "../../text/index.js";
import { countUnknown, unknownRemedy } from "../../text/unknown-texts.js";
import { createWarnings, type DataWarning } from "../readers/warnings.js";
import { type CorpusPart, type ReadDocumentsOptions, readDocuments } from "./documents.js";
import { createShardWriter, type ShardInfo, shardTokens } from "./shard-file.js";

/** What a part has become. */
export interface TokenizedPart {
  readonly index: number;
  readonly shards: readonly ShardInfo[];
  readonly warnings: readonly DataWarning[];
}

export interface TokenizePartOptions extends ReadDocumentsOptions {
  /** Where shards go. */
  readonly folder: string;
  /** Keep MinHash signatures. */
  readonly signatures: boolean;
}

const partName = (index: number): string => `part-${String(index).padStart(6, "0")}`;

/** What an earlier, interrupted run has made of a part. */
export function findPart(folder: string, index: number): TokenizedPart | undefined {
  const path = join(folder, `${partName(index)}.json`);
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as TokenizedPart;
  } catch {
    return undefined;
  }
}

/**
 * Reads, tokenizes and writes a part. Its result appears as a file of its own when all its shards are there.
 *
 * @throws what `readDocuments` throws, FILE_WRITE, DISK_FULL
 */
export async function tokenizePart(
  index: number,
  part: CorpusPart,
  tokenizer: Tokenizer,
  options: TokenizePartOptions,
): Promise<TokenizedPart> {
  const { folder, signatures } = options;
  const warnings = createWarnings();
  const unknown = countUnknown(tokenizer);
  const writer = createShardWriter(tokenizer.vocabularySize > 1 << 16, signatures);
  const shards: ShardInfo[] = [];
  const flush = (): void => {
    if (writer.documents === 0) return;
    const name = `${partName(index)}-${shards.length}.bin`;
    shards.push(writer.write(join(folder, name), name));
  };
  for await (const text of readDocuments(part, options, warnings)) {
    const ids = tokenizer.encodeIds(text, { addSpecialTokens: false, truncation: false });
    if (ids.length === 0) warnings.add("CORPUS_NO_TOKENS", "documents without a token, left out", part.file.path);
    else writer.add(ids);
    const before = unknown.unknown;
    unknown.add(ids);
    if (unknown.unknown > before)
      warnings.add(
        "CORPUS_UNKNOWN",
        `documents became only unknown tokens with this vocabulary; they stay in; ${unknownRemedy}`,
        part.file.path,
      );
    if (writer.tokens >= shardTokens) flush();
  }
  flush();
  const result: TokenizedPart = { index, shards, warnings: warnings.list() };
  writeFileAtomic(join(folder, `${partName(index)}.json`), JSON.stringify(result));
  return result;
}
