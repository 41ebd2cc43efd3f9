// Pictures of ten classes: CIFAR-10's where they lie beside the checkout, else shapes that are drawn by a seed.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readCifar } from "../../data/images/cifar.js";
import { type ImageSet, selectImages } from "../../data/images/image-set.js";
import { type RandomSource, randomOrder, randomSource } from "../../data/random-source.js";
import { checkout } from "../find.js";

/** Whether a place belongs to a shape. Both run from -1 to 1 inside of its frame. */
type Shape = (x: number, y: number) => boolean;

const near = (x: number, y: number): number => Math.max(Math.abs(x), Math.abs(y));
const shapes: readonly Shape[] = [
  (x, y) => Math.hypot(x, y) < 1,
  (x, y) => Math.hypot(x, y) < 1 && Math.hypot(x, y) > 0.55,
  (x, y) => near(x, y) < 0.9,
  (x, y) => near(x, y) < 0.9 && near(x, y) > 0.5,
  (x, y) => y > -0.9 && y < 0.9 && Math.abs(x) < (y + 0.9) / 1.8,
  (x, y) => near(x, y) < 1 && Math.min(Math.abs(x), Math.abs(y)) < 0.3,
  (x, y) => near(x, y) < 0.9 && Math.sin(6 * y) > 0,
  (x, y) => near(x, y) < 0.9 && Math.sin(6 * x) > 0,
  (x, y) => Math.abs(x) + Math.abs(y) < 1,
  (x, y) => near(x, y) < 0.9 && Math.sin(6 * x) * Math.sin(6 * y) > 0,
];

/** Writes a picture: a shape of one colour, turned a little, on a ground that runs from one colour to another, with noise. */
function drawPicture(pixels: Uint8Array, side: number, shape: Shape, random: RandomSource): void {
  const colour = () => [random(), random(), random()].map((value) => 40 + 175 * value);
  const [own, from, to] = [colour(), colour(), colour()];
  const size = side * (0.25 + 0.15 * random());
  const [left, top] = [side, side].map((length) => size + (length - 2 * size) * random());
  const [turn, slope] = [0.6 * (random() - 0.5), 2 * Math.PI * random()];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const [dx, dy] = [(x + 0.5 - left) / size, (y + 0.5 - top) / size];
      const inside = shape(dx * Math.cos(turn) - dy * Math.sin(turn), dx * Math.sin(turn) + dy * Math.cos(turn));
      const along = 0.5 + 0.5 * (((x / side) * 2 - 1) * Math.cos(slope) + ((y / side) * 2 - 1) * Math.sin(slope)) * 0.7;
      for (let channel = 0; channel < 3; channel++) {
        const ground = from[channel] + (to[channel] - from[channel]) * along;
        pixels[(channel * side + y) * side + x] = (inside ? own[channel] : ground) + 24 * (random() - 0.5);
      }
    }
  }
}

/**
 * Pictures of ten shapes in changing colours, places, sizes and turns; as many of each.
 *
 * @param stream pictures of another stream are others
 */
export function madePictures(seed: number, count: number, stream: number, side = 32): LabelledSet {
  const labels = Int32Array.from({ length: count }, (_, i) => i % shapes.length);
  const each = 3 * side * side;
  const pixels = new Uint8Array(count * each);
  for (let i = 0; i < count; i++) {
    drawPicture(pixels.subarray(i * each, (i + 1) * each), side, shapes[labels[i]], randomSource(seed, stream, i));
  }
  return { count, channels: 3, height: side, width: side, pixels, labels };
}

type LabelledSet = ImageSet & { readonly labels: Int32Array };

/** Pictures to pre-train on without their labels, some of them labelled, and others to ask about. */
export interface PictureTask {
  readonly train: LabelledSet;
  readonly labelled: LabelledSet;
  readonly test: LabelledSet;
  readonly classes: number;
  /** "CIFAR-10", or "made pictures". */
  readonly source: string;
}

/** The pictures of a seed; `labelled` of those to train on are drawn by it. */
export function pictureTask(seed: number, labelled = 500): PictureTask {
  const folder = join(checkout(), "..", "shared", "data", "cifar10_mini");
  const real = existsSync(folder);
  const [train, test] = real
    ? ["train.bin.gz", "test.bin.gz"].map((name) => readCifar(join(folder, name)))
    : [madePictures(seed, 2000, 1), madePictures(seed, 500, 2)];
  const chosen = randomOrder(train.count, randomSource(seed, 5)).subarray(0, labelled);
  return {
    train,
    labelled: selectImages(train, chosen),
    test,
    classes: 10,
    source: real ? "CIFAR-10" : "made pictures",
  };
}
