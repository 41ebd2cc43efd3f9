import { expect, test } from "vitest";
import { randomSource } from "../../data/random-source.js";
import { drawActive } from "../../vision/active-mask.js";
import { activeShare } from "../active-share.js";
import { madePictures, pictureTask } from "./pictures.js";

test("pictures follow their seed, and have as many of each class", () => {
  const [one, again, other] = [madePictures(1, 40, 1), madePictures(1, 40, 1), madePictures(1, 40, 2)];
  expect(again.pixels).toEqual(one.pixels);
  expect(other.pixels).not.toEqual(one.pixels);
  expect([...one.labels].filter((label) => label === 3)).toHaveLength(4);
  // A shape is seen: a picture has more spread than its noise.
  for (let i = 0; i < one.count; i++) {
    const red = one.pixels.subarray(i * 3072, i * 3072 + 1024);
    expect(Math.max(...red) - Math.min(...red)).toBeGreaterThan(30);
  }
});

test("labelled pictures are some of those to train on", () => {
  const { train, labelled, test: asked, classes } = pictureTask(1, 20);
  expect([labelled.count, classes, asked.height]).toEqual([20, 10, 32]);
  const all = new Set(
    Array.from({ length: train.count }, (_, i) => train.pixels.subarray(i * 3072, (i + 1) * 3072).join()),
  );
  for (let i = 0; i < 20; i++) expect(all.has(labelled.pixels.subarray(i * 3072, (i + 1) * 3072).join())).toBe(true);
});

test("stacked convolutions keep the share of visible places only where they are sparse", () => {
  const active = drawActive({ images: 16, rows: 4, columns: 4, maskRatio: 0.6 }, randomSource(1));
  expect(activeShare(active, 32, 8, true)).toBe(6 / 16);
  expect(activeShare(active, 32, 8, false)).toBeGreaterThan(0.95);
  expect(activeShare(active, 32, 0, false)).toBe(6 / 16);
});
