// Vectors as JSON, straight into bytes. JSON.stringify writes a float32 number with the 17 digits of its double; nine tell it
// from all others, which is half the bytes and a fraction of the time.

/** Bytes of a number at most: a sign, "0.", six zeros, nine digits; or what JavaScript writes. */
const mostBytes = 26;

/** The digits of 0 to 999, three bytes each. */
const triples = Buffer.from(Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, "0")).join(""), "latin1");

const [comma, minus, point, zero, open, close] = Buffer.from(",-.0[]", "latin1");

/** Numbers below the i-th have i + 1 zeros behind the point. */
const bounds = [0.1, 0.01, 1e-3, 1e-4, 1e-5];
/** What makes a whole number of nine digits of a number with i zeros behind the point. */
const scales = [1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

/** Writes three digits. */
function writeTriple(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = triples[3 * value];
  bytes[at + 1] = triples[3 * value + 1];
  bytes[at + 2] = triples[3 * value + 2];
}

/** What is rare in vectors: 1 and above, next to nothing, no number. @returns the next free place */
function writeOther(bytes: Buffer, at: number, value: number): number {
  // As JSON.stringify: what is no number is null.
  return at + bytes.write(JSON.stringify(value), at, "latin1");
}

/** @returns the next free place */
function writeNumber(bytes: Buffer, at: number, value: number): number {
  const size = Math.abs(value);
  if (!(size < 0.9999999 && size >= 1e-6)) return writeOther(bytes, at, value);
  let zeros = 0;
  while (zeros < bounds.length && size < bounds[zeros]) zeros++;
  // Nine digits are 5e-9 off at most, numbers of float32 are 6e-8 apart at least: reading gives the same number.
  const digits = Math.min(999_999_999, Math.round(size * scales[zeros]));
  let place = at;
  if (value < 0) bytes[place++] = minus;
  bytes[place++] = zero;
  bytes[place++] = point;
  for (let i = 0; i < zeros; i++) bytes[place++] = zero;
  const high = Math.floor(digits / 1_000_000);
  const low = digits - 1_000_000 * high;
  const middle = Math.floor(low / 1000);
  writeTriple(bytes, place, high);
  writeTriple(bytes, place + 3, middle);
  writeTriple(bytes, place + 6, low - 1000 * middle);
  return place + 9;
}

/** @returns the next free place */
function writeVector(bytes: Buffer, from: number, vector: Float32Array): number {
  let at = from;
  bytes[at++] = open;
  for (let i = 0; i < vector.length; i++) {
    if (i > 0) bytes[at++] = comma;
    at = writeNumber(bytes, at, vector[i]);
  }
  bytes[at++] = close;
  return at;
}

/** JSON as bytes, for answers that JSON.stringify would take long for. */
export interface WrittenJson {
  readonly json: Buffer;
}

export const isWritten = (answer: unknown): answer is WrittenJson =>
  typeof answer === "object" && answer !== null && "json" in answer && Buffer.isBuffer(answer.json);

/**
 * JSON of an answer in which vectors stand: float32 numbers are read as the same float32 numbers.
 *
 * @param before texts of JSON before each vector, and one behind the last
 * @example
 * vectorJson([Float32Array.of(0.5)], ["[", "]"]).json.toString(); // [[0.500000000]]
 */
export function vectorJson(vectors: readonly Float32Array[], before: readonly string[]): WrittenJson {
  const numbers = vectors.reduce((sum, { length }) => sum + length, 0);
  const texts = before.reduce((sum, text) => sum + 3 * text.length, 0);
  const bytes = Buffer.allocUnsafe((mostBytes + 1) * numbers + 2 * vectors.length + texts);
  let at = 0;
  vectors.forEach((vector, i) => {
    at += bytes.write(before[i], at);
    at = writeVector(bytes, at, vector);
  });
  at += bytes.write(before[vectors.length], at);
  return { json: bytes.subarray(0, at) };
}

/** A list of vectors. */
export const vectorListJson = (vectors: readonly Float32Array[]): WrittenJson =>
  vectorJson(vectors, [...vectors.map((_, i) => (i === 0 ? "[" : ",")), vectors.length === 0 ? "[]" : "]"]);
