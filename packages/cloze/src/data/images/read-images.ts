// Images from files and folders: PNG, and CIFAR-10's records.
import { type Dirent, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ClozeError } from "../../errors.js";
import { createWarnings, type DataWarning } from "../readers/warnings.js";
import { readCifar, readWhole } from "./cifar.js";
import type { ImageSet } from "./image-set.js";
import { decodePng, isPng, type Picture } from "./png.js";
import { resample } from "./resample.js";

export interface ReadImagesOptions {
  /** Side of the images that come out. Default: that of CIFAR's records, else of the first image. */
  readonly size?: number;
}

export interface ReadImages {
  readonly images: ImageSet;
  /** Names of the classes, by number, where each image lies in a folder of its class. */
  readonly classes?: readonly string[];
  /** What was left out, and why. */
  readonly warnings: readonly DataWarning[];
}

const byName = (a: Dirent, b: Dirent): number => (a.name < b.name ? -1 : 1);

/** Files of images under a path, in the order of their names. */
function filesUnder(path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    throw new ClozeError("DATA_FILE_MISSING", `There is no file or folder ${path}`, {
      expected: "PNG files, a folder of them, or CIFAR-10's records",
      received: "nothing",
      remedy: "Check the path.",
    });
  }
  if (!stats.isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith("."))
    .sort(byName)
    .flatMap((entry) => (entry.isDirectory() ? filesUnder(join(path, entry.name)) : [join(path, entry.name)]));
}

/** The largest square in the middle, at another size. */
function squared({ height, width, pixels }: Picture, size: number): Uint8Array {
  if (height === size && width === size) return pixels;
  const side = Math.min(height, width);
  const box = { top: (height - side) / 2, left: (width - side) / 2, height: side, width: side };
  return resample(pixels, { channels: 3, height, width }, box, size, size);
}

interface Found {
  readonly picture: Picture;
  /** The folder that it lies in, or the number that its record has. */
  readonly label: string | number;
}

/**
 * Reads images into memory, scaled to one size: the square in the middle of each.
 *
 * Files that are no images, or broken ones, are left out and counted. Folders in a folder are classes.
 *
 * @param sources files and folders
 * @throws DATA_FILE_MISSING, DATA_FILE_READ, DATA_COMPRESSION, DATA_EMPTY when no image is left
 * @example
 * const { images, warnings } = readImages(["photos/"], { size: 64 });
 */
export function readImages(sources: readonly string[], { size }: ReadImagesOptions = {}): ReadImages {
  const warnings = createWarnings();
  const found: Found[] = [];
  let others = 0;
  for (const path of sources.flatMap(filesUnder)) {
    const alone = sources.includes(path);
    if (/\.bin(\.gz)?$/.test(path)) {
      const { count, height, width, pixels, labels } = readCifar(path, warnings);
      const each = 3 * height * width;
      for (let i = 0; i < count; i++) {
        const picture = { height, width, pixels: pixels.subarray(i * each, (i + 1) * each) };
        found.push({ picture, label: labels[i] });
      }
      continue;
    }
    const bytes = readWhole(path);
    if (!isPng(bytes) && !/\.png$/i.test(path)) {
      if (/\.(jpe?g|gif|webp|bmp|tiff?)$/i.test(path)) {
        warnings.add("IMAGE_FORMAT", "images that are no PNG are left out", path);
      }
      others++;
      continue;
    }
    try {
      found.push({ picture: decodePng(bytes, path), label: alone ? "" : basename(dirname(path)) });
    } catch (error) {
      if (!(error instanceof ClozeError)) throw error;
      warnings.add("IMAGE_BROKEN", "images that could not be read are left out", path);
    }
  }
  if (found.length === 0) {
    const reasons = warnings.list().map(({ code, count, first }) => `${code} ${count} × (first: ${first})`);
    throw new ClozeError("DATA_EMPTY", "There are no images", {
      expected: "PNG files, or CIFAR-10's records (.bin, .bin.gz)",
      received: reasons.join("; ") || `${others} other files`,
      remedy: "Convert images of other formats to PNG.",
    });
  }
  const side = size ?? Math.min(found[0].picture.height, found[0].picture.width);
  const each = 3 * side * side;
  const pixels = new Uint8Array(found.length * each);
  for (const [i, { picture }] of found.entries()) pixels.set(squared(picture, side), i * each);
  const set = { count: found.length, channels: 3, height: side, width: side, pixels };
  if (found.every(({ label }) => typeof label === "number")) {
    return {
      images: { ...set, labels: Int32Array.from(found, ({ label }) => Number(label)) },
      warnings: warnings.list(),
    };
  }
  const classes = [...new Set(found.map(({ label }) => String(label)))].sort();
  if (classes.length < 2) return { images: set, warnings: warnings.list() };
  return {
    images: { ...set, labels: Int32Array.from(found, ({ label }) => classes.indexOf(String(label))) },
    classes,
    warnings: warnings.list(),
  };
}
