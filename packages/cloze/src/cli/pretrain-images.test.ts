import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { writtenStreams } from "../../test/written-streams.js";
import { loadConvnet } from "../vision/convnet-folder.js";
import { addPretrainImages } from "./pretrain-images.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-pretrain-images-command-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());
const path = (name: string): string => join(folder, name);

/** CIFAR-10's records, the last of them cut off. */
const records = Uint8Array.from({ length: 12 * 3073 + 100 }, (_, i) => (i % 3073 === 0 ? 1 : (i * i) % 251));
writeFileSync(path("images.bin"), records);

/** What `cloze pretrain-images …` prints on standard output, and on standard error. */
async function run(...args: string[]): Promise<{ output: string; notes: string }> {
  const written = writtenStreams();
  const program = new Command().exitOverride();
  addPretrainImages(program);
  for (const command of program.commands) command.exitOverride().option("--json").option("--quiet");
  await program.parseAsync(["pretrain-images", ...args], { from: "user" });
  return written;
}
const common = ["--size", "16", "--batch-size", "6", "--set", "decoderWidth=16", "--json"];

test("trains, says what it left out, and saves an encoder that opens; another run goes on from it", async () => {
  const { output, notes } = await run(path("images.bin"), ...common, "--steps", "2", "--out", path("one"));
  expect(JSON.parse(output)).toMatchObject({ steps: 2, images: 12, warnings: [{ code: "IMAGE_CUT", count: 1 }] });
  expect(notes).toContain("IMAGE_CUT");
  const first = loadConvnet(path("one"));
  expect(first.config).toMatchObject({ type: "resnet", stem: { kernel: 3 } });
  expect(JSON.parse(readFileSync(path("one/config.json"), "utf8")).model_type).toBe("cloze-convnet");
  await run(path("images.bin"), ...common, "--steps", "1", "--model", path("one"), "--out", path("two"), "--quiet");
  const again = loadConvnet(path("two"));
  const weight = "embedder.embedder.convolution.weight";
  expect(again.parameters.get(weight)?.toArray()).not.toEqual(first.parameters.get(weight)?.toArray());
});

test("goes on where it stopped", async () => {
  const args = [path("images.bin"), ...common, "--net", "convnext-micro", "--quiet", "--steps", "2"];
  await run(...args, "--out", path("whole"));
  const { output } = await run(...args, "--out", path("whole"), "--resume");
  expect(JSON.parse(output)).toMatchObject({ steps: 2, interrupted: false });
});

test("wrong options and missing images have codes, and nothing is written", async () => {
  const code = (text: string) => expect.objectContaining({ code: text });
  const one = [...common, "--steps", "1", "--out", path("none"), "--quiet"];
  await expect(run(path("nowhere"), ...one)).rejects.toThrow(code("DATA_FILE_MISSING"));
  await expect(run(path("images.bin"), ...one, "--set", "maskRatio=2")).rejects.toThrow(code("OBJECTIVE_OPTIONS"));
  await expect(run(path("images.bin"), ...one, "--set", "other=2")).rejects.toThrow(code("OBJECTIVE_OPTIONS"));
  await expect(run(path("images.bin"), ...common, "--out", path("none"))).rejects.toThrow(code("TRAINING_LENGTH"));
  expect(existsSync(path("none"))).toBe(false);
});
