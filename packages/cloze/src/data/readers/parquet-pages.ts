// Parquet's page headers, walked before the pages are read: a damaged header would send hyparquet into an endless loop.
import type { AsyncBuffer, ColumnMetaData, RowGroup } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";

const firstTry = 1 << 12;
const largestHeader = 1 << 22;

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;

type PageHeader = ReturnType<typeof parquetHeader>;

/** The header at `at`, and its size; headers hold statistics, so their size is not known before. */
async function headerAt(file: AsyncBuffer, at: number, end: number): Promise<{ header: PageHeader; size: number }> {
  for (let span = firstTry; ; span *= 32) {
    const stop = Math.min(end, at + span);
    const reader = { view: new DataView(await file.slice(at, stop)), offset: 0 };
    try {
      return { header: parquetHeader(reader), size: reader.offset };
    } catch (error) {
      // The piece may have been too small for it.
      if (stop === end || span >= largestHeader) throw error;
    }
  }
}

async function checkColumn(file: AsyncBuffer, meta: ColumnMetaData, rows: number): Promise<void> {
  const fail = (what: string): never => {
    throw new Error(`column ${meta.path_in_schema.join(".")}: ${what}`);
  };
  const values = Number(meta.num_values);
  if (values < rows) fail(`${values} values for ${rows} rows`);
  const start = Math.min(Number(meta.dictionary_page_offset || meta.data_page_offset), Number(meta.data_page_offset));
  const end = start + Number(meta.total_compressed_size);
  if (!(start >= 0 && end <= file.byteLength)) fail(`bytes ${start} to ${end} of ${file.byteLength}`);
  let seen = 0;
  for (let at = start; at < end && seen < values; ) {
    const { header, size } = await headerAt(file, at, end);
    const { compressed_page_size: bytes, uncompressed_page_size: unpacked } = header;
    if (!isCount(bytes) || !isCount(unpacked) || at + size + bytes > end) fail(`a page of ${bytes} bytes`);
    const { data_page_header: first, data_page_header_v2: second, dictionary_page_header: dictionary } = header;
    const count = (first ?? second ?? dictionary)?.num_values ?? 0;
    // Entries of a dictionary take a bit each at least.
    if (!isCount(count) || count > (dictionary === undefined ? values : 8 * unpacked))
      fail(`a page of ${count} values`);
    if (second !== undefined) {
      const { num_nulls: nulls, num_rows: ofRows } = second;
      const levels = [second.definition_levels_byte_length, second.repetition_levels_byte_length];
      if (![nulls, ofRows, ...levels].every(isCount)) fail("a page header without its counts");
      if (nulls > count || levels[0] + levels[1] > bytes) fail("a page whose counts contradict each other");
    }
    if (dictionary === undefined) seen += count;
    at += size + bytes;
  }
  if (seen !== values) fail(`pages of ${seen} values, where ${values} are told`);
}

/** Throws when pages of a row group cannot be what its columns tell. */
export async function checkPages(file: AsyncBuffer, group: RowGroup): Promise<void> {
  for (const { meta_data: meta } of group.columns)
    if (meta !== undefined) await checkColumn(file, meta, Number(group.num_rows));
}
