// The header of a safetensors file, checked to the last byte before anything else is believed.
import { ClozeError } from "../errors.js";

/** Bits per element of the types that the format names. */
const elementBits: Readonly<Record<string, number>> = {
  F64: 64,
  I64: 64,
  U64: 64,
  C64: 64,
  F32: 32,
  I32: 32,
  U32: 32,
  F16: 16,
  BF16: 16,
  I16: 16,
  U16: 16,
  I8: 8,
  U8: 8,
  BOOL: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
}; // prettier-ignore

/** The largest header that readers of the format accept. */
export const largestHeader = 100_000_000;

export interface SafetensorsInfo {
  /** The type in the file, as the format names it: "F32", "BF16", ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, SafetensorsInfo>;
}

function fail(code: string, message: string, received?: string, expected?: string): never {
  throw new ClozeError(`SAFETENSORS_${code}`, message, {
    expected,
    received,
    remedy: "The file is damaged or no safetensors file: download or write it again.",
  });
}

/** How long the header says it is, checked against the file. `prefix`: the first eight bytes. */
export function headerLength(prefix: Uint8Array, fileSize: number): number {
  if (prefix.length < 8)
    fail("TRUNCATED", "The file ends before the length of its header", `${fileSize} bytes`, "at least 8 bytes");
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(largestHeader))
    fail(
      "HEADER_TOO_LARGE",
      "The header says it is larger than any may be",
      `${length} bytes`,
      `at most ${largestHeader}`,
    );
  if (length > BigInt(fileSize - 8))
    fail("TRUNCATED", "The file ends inside its header", `${fileSize} bytes`, `${length + 8n} or more`);
  return Number(length);
}

/** Keys that occur twice in one object of a text that JSON.parse accepted: it would silently keep the last. */
function duplicateKey(text: string): string | undefined {
  const objects: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "{") objects.push(new Set());
    else if (c === "[") objects.push(undefined);
    else if (c === "}" || c === "]") objects.pop();
    else if (c === '"') {
      const start = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === "\\") i++;
      let after = i + 1;
      while (" \t\n\r".includes(text[after] ?? "x")) after++;
      const keys = objects[objects.length - 1];
      if (text[after] !== ":" || keys === undefined) continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
function brief(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? "nothing").slice(0, 100);
  } catch {
    return "something nested too deeply"; // The stack ended.
  }
}

function parseEntry(name: string, value: unknown, start: number): SafetensorsInfo {
  const shown = brief(name);
  if (!isRecord(value)) fail("HEADER_INVALID", `The entry of ${shown} is no object`, brief(value));
  const { dtype, shape, data_offsets: offsets, ...others } = value;
  if (Object.keys(others).length > 0)
    fail("HEADER_INVALID", `The entry of ${shown} has an unknown field`, brief(Object.keys(others)[0]));
  if (typeof dtype !== "string" || !Object.hasOwn(elementBits, dtype))
    fail("DTYPE", `The type of ${shown} is unknown`, brief(dtype));
  if (!Array.isArray(shape) || !shape.every(isCount))
    fail("HEADER_INVALID", `The shape of ${shown} is no list of sizes`, brief(shape));
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0] > offsets[1]) {
    fail("OFFSETS", `The offsets of ${shown} are no ascending pair`, brief(offsets));
  }
  let bits = elementBits[dtype];
  for (const size of shape as number[]) bits *= size;
  const bytes = offsets[1] - offsets[0];
  if (!Number.isSafeInteger(bits) || bits !== bytes * 8) {
    fail(
      "SIZE_MISMATCH",
      `The shape and the bytes of ${shown} disagree`,
      `${bytes} bytes`,
      `${bits / 8} bytes for ${dtype} ${brief(shape)}`,
    );
  }
  return { dtype, shape: shape as number[], offset: start + offsets[0], bytes };
}

/**
 * Parses the header and checks that the tensors cover the rest of the file exactly, without overlaps or gaps.
 * @throws SAFETENSORS_HEADER_INVALID, SAFETENSORS_DUPLICATE_NAME, SAFETENSORS_DTYPE, SAFETENSORS_SIZE_MISMATCH,
 * SAFETENSORS_OFFSETS, SAFETENSORS_TRUNCATED
 */
export function parseHeader(header: Uint8Array, fileSize: number): SafetensorsHeader {
  const start = 8 + header.length;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch {
    fail("HEADER_INVALID", "The header is not UTF-8");
  }
  if (!text.startsWith("{")) fail("HEADER_INVALID", "The header does not begin with {", brief(text.slice(0, 20)));
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    fail("HEADER_INVALID", "The header is no JSON", cause instanceof Error ? cause.message : String(cause));
  }
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) fail("DUPLICATE_NAME", "The header names something twice", brief(duplicate));
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  const tensors = new Map<string, SafetensorsInfo>();
  for (const [name, value] of Object.entries(parsed as Record<string, unknown>)) {
    if (name !== "__metadata__") {
      tensors.set(name, parseEntry(name, value, start));
      continue;
    }
    if (!isRecord(value)) fail("HEADER_INVALID", "The metadata is no object", brief(value));
    for (const [key, item] of Object.entries(value)) {
      if (typeof item !== "string") fail("HEADER_INVALID", `The metadata ${brief(key)} is no text`, brief(item));
      metadata[key] = item;
    }
  }
  let end = start;
  const byOffset = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes);
  for (const [name, { offset, bytes }] of byOffset) {
    if (offset !== end) {
      fail(
        "OFFSETS",
        `${brief(name)} ${offset < end ? "overlaps the tensor before it" : "leaves a gap before it"}`,
        `byte ${offset - start}`,
        `byte ${end - start}`,
      );
    }
    end = offset + bytes;
  }
  if (end > fileSize) fail("TRUNCATED", "The file ends before its tensors do", `${fileSize} bytes`, `${end} bytes`);
  if (end < fileSize) fail("OFFSETS", "The file goes on after its tensors", `${fileSize} bytes`, `${end} bytes`);
  return { metadata, tensors: new Map(byOffset) };
}
