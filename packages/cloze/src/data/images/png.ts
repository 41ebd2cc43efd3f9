// PNG files as pixels: 8 bits for a value, not interlaced, which is what programs write for photographs and pictures.
import { inflateSync } from "node:zlib";
import { ClozeError } from "../../errors.js";

/** One image. */
export interface Picture {
  readonly height: number;
  readonly width: number;
  /** Red, green, blue. [3 x height x width] */
  readonly pixels: Uint8Array;
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Whether bytes begin as a PNG does. */
export const isPng = (bytes: Uint8Array): boolean => signature.every((byte, i) => bytes[i] === byte);

/** Values of a pixel by the header's colour type. */
const valuesOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** The predictor of filter 4 (PNG specification, 9.4). */
function paeth(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

/** Undoes the filters of the lines. data: [height x (1 + stride)] -> [height x stride] */
function unfilter(data: Uint8Array, height: number, stride: number, step: number): Uint8Array {
  const result = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (stride + 1)];
    if (filter > 4) throw new Error(`line ${y + 1} has the filter ${filter}`);
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x;
      const left = x >= step ? result[at - step] : 0;
      const above = y > 0 ? result[at - stride] : 0;
      const corner = x >= step && y > 0 ? result[at - stride - step] : 0;
      const guess = [0, left, above, (left + above) >> 1, filter === 4 ? paeth(left, above, corner) : 0][filter];
      result[at] = data[y * (stride + 1) + 1 + x] + guess;
    }
  }
  return result;
}

interface Parts {
  header?: DataView;
  palette?: Uint8Array;
  readonly data: Uint8Array[];
}

function partsOf(bytes: Uint8Array): Parts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Parts = { data: [] };
  for (let at = 8; ; ) {
    if (at + 12 > bytes.length) throw new Error("it is cut off");
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.length) throw new Error("it is cut off");
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") parts.header = new DataView(body.buffer, body.byteOffset, body.byteLength);
    if (type === "PLTE") parts.palette = body;
    if (type === "IDAT") parts.data.push(body);
    if (type === "IEND") return parts;
    at += 12 + length;
  }
}

function decode(bytes: Uint8Array): Picture {
  if (!isPng(bytes)) throw new Error("it does not begin as a PNG");
  const { header, palette, data } = partsOf(bytes);
  if (header === undefined || header.byteLength < 13 || data.length === 0) throw new Error("it has no pixels");
  const [width, height] = [header.getUint32(0), header.getUint32(4)];
  const [depth, colour, interlaced] = [header.getUint8(8), header.getUint8(9), header.getUint8(12)];
  const values = valuesOf[colour];
  if (depth !== 8 || interlaced !== 0 || values === undefined) {
    throw new Error(`${depth} bits, colour type ${colour}${interlaced === 0 ? "" : ", interlaced"}`);
  }
  if (width < 1 || height < 1 || width * height > 1 << 28) throw new Error(`${width} x ${height} pixels`);
  const stride = width * values;
  const raw = inflateSync(Buffer.concat(data), { maxOutputLength: height * (stride + 1) });
  if (raw.length < height * (stride + 1)) throw new Error("it has too few pixels");
  const lines = unfilter(raw, height, stride, values);
  const plane = width * height;
  const pixels = new Uint8Array(3 * plane);
  for (let i = 0; i < plane; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = lines[i * values + (values < 3 ? 0 : channel)];
      pixels[channel * plane + i] = colour === 3 ? (palette?.[value * 3 + channel] ?? 0) : value;
    }
  }
  return { height, width, pixels };
}

/**
 * Decodes a PNG. Grey becomes three equal channels; transparency is left out.
 *
 * @param path for the error
 * @throws IMAGE_BROKEN
 */
export function decodePng(bytes: Uint8Array, path: string): Picture {
  try {
    return decode(bytes);
  } catch (cause) {
    throw new ClozeError("IMAGE_BROKEN", `${path} could not be read as a PNG`, {
      expected: "a whole PNG of 8 bits, not interlaced",
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Save it again with another program, or leave it out.",
      cause,
    });
  }
}
