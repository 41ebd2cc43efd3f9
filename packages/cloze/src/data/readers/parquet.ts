import { type AsyncBuffer, asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { ClozeError } from "../../errors.js";
import type { JsonObject, JsonValue } from "../../text/index.js";
import { checkFile, readBytes } from "./bytes.js";
import { checkPages } from "./parquet-pages.js";
import type { DataRow } from "./row.js";

/** What Parquet holds, as JSON would: whole numbers beyond 2^53 as strings, times as ISO 8601, bytes as numbers. */
function toJson(value: unknown): JsonValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number | bigint>, toJson);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object") return value as JsonValue;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toJson(inner)]));
}

/** The file at random access; one that is packed as a whole is unpacked into memory. */
async function openBuffer(path: string): Promise<AsyncBuffer> {
  checkFile(path);
  if (!/\.(gz|zst|zstd)$/i.test(path)) return asyncBufferFromFile(path);
  const pieces: Uint8Array[] = [];
  for await (const chunk of readBytes(path)) pieces.push(chunk);
  const { buffer, byteOffset, byteLength } = Buffer.concat(pieces);
  const whole = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
  return { byteLength, slice: (start, end) => whole.slice(start, end) };
}

/**
 * Rows of a Parquet file, one row group in memory at a time (uncompressed, Snappy, gzip, Zstandard, Brotli, LZ4).
 *
 * @param columns those that are wanted; all by default
 * @throws DATA_PARQUET when it is none, is damaged, or uses what hyparquet cannot read
 */
export async function* readParquet(path: string, columns?: string[]): AsyncGenerator<DataRow> {
  const file = await openBuffer(path);
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw new ClozeError("DATA_PARQUET", `${path} could not be read as Parquet`, {
        received: cause instanceof Error ? cause.message : String(cause),
        remedy: "Is it whole, and is it Parquet?",
        cause,
      });
    }
  };
  const metadata = await attempt(() => parquetMetadataAsync(file));
  let start = 0;
  for (const group of metadata.row_groups) {
    const end = start + Number(group.num_rows);
    await attempt(() => checkPages(file, group));
    const wanted = { file, metadata, rowStart: start, rowEnd: end, columns, compressors };
    const rows = await attempt(() => parquetReadObjects(wanted));
    for (const [i, row] of rows.entries()) yield { values: toJson(row) as JsonObject, number: start + i + 1 };
    start = end;
  }
}
