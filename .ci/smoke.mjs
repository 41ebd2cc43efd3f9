// A smoke test of the built packages on whatever node runs this: the native module loads, gradients flow; a tokenizer is
// learnt, an encoder made, texts embedded, saved, loaded, and embedded again.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const load = (path) => import(new URL(`../${path}`, import.meta.url).href);
const { backend, backward, linear, memory, parameter, scope, sum, tensor } = await load(
  "packages/tensor/dist/index.js",
);
assert.equal(backend().name, "native", "the native module is built and loads");
const weight = parameter(tensor([[1, 2]]));
scope(() => backward(sum(linear(tensor([[3, 4]]), weight))));
assert.deepEqual(weight.grad.toArray(), [[3, 4]]);
const live = memory.stats().liveBytes;

const { createEmbedder, createModel, loadEmbedder, saveEmbedder, trainWordPiece, uniformEncoder } =
  await load("packages/cloze/dist/index.js");
const folder = mkdtempSync(join(tmpdir(), "cloze-smoke-"));
try {
  const corpus = ["the cat sees the dog", "the dog sees the bird", "a bird sees a cat and a dog"];
  const tokenizer = trainWordPiece(corpus, { vocabularySize: 60 });
  const config = uniformEncoder({
    layers: 2,
    hiddenSize: 32,
    heads: 2,
    vocabularySize: tokenizer.vocabularySize,
    maxPositions: 16,
  });
  const embedder = createEmbedder(createModel({ architecture: "Model", config, head: { type: "none" } }), tokenizer);
  const texts = ["the cat sees a bird", "a dog"];
  const before = embedder.embed(texts);
  assert.deepEqual(before.shape, [2, 32]);
  for (const row of before.toArray()) {
    const length = Math.hypot(...row);
    assert.ok(Math.abs(length - 1) < 1e-5, `a vector of length ${length}`);
  }
  saveEmbedder(embedder, folder);
  embedder.dispose();
  const loaded = loadEmbedder(folder);
  const after = loaded.embed(texts);
  assert.deepEqual(after.toArray(), before.toArray(), "the same vectors after saving and loading");
  for (const held of [before, after, loaded]) held.dispose();
  assert.equal(memory.stats().liveBytes, live, "everything was freed");
  // Used here, so that the garbage collector has not freed it before the bytes are counted.
  assert.deepEqual(weight.grad.toArray(), [[3, 4]]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`smoke: node ${process.version}, ${backend().isa}, ${fileURLToPath(import.meta.url)}`);
