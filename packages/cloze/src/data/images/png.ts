// PNG files as pixels of three channels.
import { convertIndexedToRgb, type DecodedPng, decode } from "fast-png";
import { ClozeError } from "../../errors.js";

/** One image. */
export interface Picture {
  readonly height: number;
  readonly width: number;
  /** Red, green, blue. [3 x height x width] */
  readonly pixels: Uint8Array;
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const largest = 1 << 28;

/** Whether bytes begin as a PNG does. */
export const isPng = (bytes: Uint8Array): boolean => signature.every((byte, i) => bytes[i] === byte);

/** A header that claims more pixels than memory has must not be believed: its two numbers come first in the file. */
function checkSize(bytes: Uint8Array): void {
  if (bytes.length < 24) throw new Error("it is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  if (width < 1 || height < 1 || width * height > largest) throw new Error(`${width} x ${height} pixels`);
}

/** Grey values of less than a byte, which lie side by side in the bytes of a line, as bytes from 0 to 255. */
function greyBytes({ data, width, height, depth }: DecodedPng): Uint8Array {
  const stride = Math.ceil((width * depth) / 8);
  const highest = (1 << depth) - 1;
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const bit = (i % width) * depth;
    const value = data[Math.floor(i / width) * stride + (bit >> 3)] >> (8 - depth - (bit & 7));
    return ((value & highest) * 255) / highest;
  });
}

function decodePicture(bytes: Uint8Array): Picture {
  if (!isPng(bytes)) throw new Error("it does not begin as a PNG");
  checkSize(bytes);
  const png = decode(bytes, { checkCrc: true });
  const { width, height, depth, palette } = png;
  const plane = width * height;
  const indexed = palette !== undefined;
  const values = indexed ? convertIndexedToRgb(png) : depth < 8 ? greyBytes(png) : png.data;
  const channels = indexed ? palette[0].length : png.channels;
  if (values.length < plane * channels) throw new Error("it has too few pixels");
  const shift = depth === 16 ? 8 : 0;
  const pixels = new Uint8Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    const from = channels < 3 ? 0 : channel;
    for (let i = 0; i < plane; i++) pixels[channel * plane + i] = values[i * channels + from] >> shift;
  }
  return { height, width, pixels };
}

/**
 * Decodes a PNG. Grey becomes three equal channels, 16 bits become 8; transparency is left out.
 *
 * @param path for the error
 * @throws IMAGE_BROKEN
 */
export function decodePng(bytes: Uint8Array, path: string): Picture {
  try {
    return decodePicture(bytes);
  } catch (cause) {
    throw new ClozeError("IMAGE_BROKEN", `${path} could not be read as a PNG`, {
      expected: "a whole PNG",
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Save it again with another program, or leave it out.",
      cause,
    });
  }
}
