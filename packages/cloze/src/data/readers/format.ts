// What kind of file rows come from: by its name, and by its first bytes where the name does not tell.
import { ClozeError } from "../../errors.js";
import { readHead } from "./text-blocks.js";

/**
 * Kinds of files. `json` is an array of objects, or an object that holds one; `squad` is the schema of SQuAD 1.1/2.0; `text`
 * has no columns: a text a line.
 */
export type DataFormat = "tsv" | "csv" | "jsonl" | "json" | "squad" | "conll" | "parquet" | "text";

/** All of {@link DataFormat}. */
export const dataFormats: readonly DataFormat[] = ["tsv", "csv", "jsonl", "json", "squad", "conll", "parquet", "text"];

const extensions: Record<string, DataFormat> = {
  tsv: "tsv",
  tab: "tsv",
  csv: "csv",
  jsonl: "jsonl",
  ndjson: "jsonl",
  conll: "conll",
  conll03: "conll",
  iob: "conll",
  iob2: "conll",
  bio: "conll",
  bioes: "conll",
  parquet: "parquet",
};

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** JSON lines, SQuAD, or any other JSON value. */
function formatOfJson(head: string): DataFormat {
  const lines = head.split("\n").filter((line) => line.trim() !== "");
  if (lines[0].trimStart().startsWith("{") && lines.length > 1 && parses(lines[0])) return "jsonl";
  if (/^\s*\{/.test(head) && /"paragraphs"\s*:/.test(head)) return "squad";
  if (lines.length === 1 && /^\s*\{/.test(head) && parses(head) && !/"data"\s*:\s*\[/.test(head)) return "jsonl";
  return "json";
}

/** What the start of a text looks like; undefined when like nothing known. */
export function formatOfText(head: string): DataFormat | undefined {
  if (head.startsWith("PAR1")) return "parquet";
  if (/^\s*[[{]/.test(head)) return formatOfJson(head);
  if (head.startsWith("-DOCSTART-")) return "conll";
  const lines = head.split(/\r?\n/).slice(0, 200);
  const filled = lines.filter((line) => line !== "");
  const columns = filled[0]?.split("\t").length ?? 0;
  const blankInside = lines.slice(0, -1).some((line, i) => line === "" && lines[i + 1] !== "");
  const columnar = filled.length > 1 && filled.slice(0, -1).every((line) => /^\S+(?:[ \t]+\S+){1,9}$/.test(line));
  if (blankInside && columnar) return "conll";
  if (columns > 1) return "tsv";
  return filled[0]?.includes(",") ? "csv" : undefined;
}

/** Whether a text that looks like columns has as many in each line, and with commas a header of short names. */
function hasColumns(head: string, format: DataFormat): boolean {
  const filled = head.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("-DOCSTART-"));
  // The last line may be cut.
  const lines = filled.length > 2 ? filled.slice(0, -1) : filled;
  const split = (line: string): string[] =>
    format === "csv" ? line.replace(/"(?:[^"]|"")*"/g, "q").split(",") : line.trim().split(/\s+/);
  const width = lines.length === 0 ? 0 : split(lines[0]).length;
  const named = format !== "csv" || lines[0].split(",").every((name) => /^\S+(?: \S+)?$/.test(name.trim()));
  return named && lines.every((line) => split(line).length === width);
}

/**
 * The format of a file: by its extension (`.gz` and `.zst` aside), else by what it holds. A `.txt` that looks like nothing
 * else is a text a line.
 *
 * @param table columns are known to stand in it (its delimiter, or its header, is)
 * @throws DATA_FORMAT_UNKNOWN, and what reading a file throws
 */
export async function detectFormat(path: string, table = false): Promise<DataFormat> {
  const name = path.toLowerCase().replace(/\.(gz|zst|zstd)$/, "");
  const known = extensions[name.slice(name.lastIndexOf(".") + 1)];
  if (known !== undefined) return known;
  const { text } = await readHead(path);
  const format = text.trim() === "" ? undefined : formatOfText(text);
  const plain = name.endsWith(".txt") && text.trim() !== "" && !table;
  const unsure = format === undefined || ((format === "csv" || format === "conll") && !hasColumns(text, format));
  if (plain && unsure) return "text";
  if (format !== undefined) return format;
  throw new ClozeError("DATA_FORMAT_UNKNOWN", `What kind of data ${path} holds is unclear`, {
    expected: "TSV, CSV, JSON lines, JSON, CoNLL columns, SQuAD JSON, Parquet or plain text",
    received: JSON.stringify(text.slice(0, 60)),
    remedy: `Say which: format (--format) is one of ${dataFormats.join(", ")}.`,
  });
}
