// How many of SciFact's first 200 documents a SPLADE encoder reads in a second, to 256 tokens, beside the formula with the logits of
// all tokens (512 tokens at once): node bench/splade-speed.mjs FOLDER, a masked language model or a SPLADE. Needs ../shared.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { loadSparseEncoder } from "../packages/cloze/dist/index.js";
import { add, log, noGrad, relu, scope, segmentMax, tensor } from "../packages/tensor/dist/index.js";

const corpus = fileURLToPath(new URL("../../shared/data/scifact/corpus.jsonl.gz", import.meta.url));
const lines = gunzipSync(readFileSync(corpus)).toString().split("\n").slice(0, 200);
const texts = lines.map((line) => JSON.parse(line)).map(({ title, text }) => `${title} ${text}`);
const encoder = loadSparseEncoder(process.argv[2], { maxLength: 256 });

/** Two texts at a time: 512 tokens. */
function plain(some) {
  let terms = 0;
  for (let from = 0; from < some.length; from += 2) {
    const batch = encoder.packTokens(encoder.tokenize(some.slice(from, from + 2)));
    const weights = scope(() =>
      noGrad(() =>
        log(add(relu(segmentMax(encoder.model.forward(batch).logits, tensor(batch.offsets))), 1)).toTypedArray(),
      ),
    );
    for (const weight of weights) terms += Number(weight > 0);
  }
  return terms;
}
const fast = (some) => encoder.encode(some).reduce((sum, { terms }) => sum + terms.length, 0);

for (const [name, run] of Object.entries({ fast, plain })) {
  run(texts.slice(0, 4));
  const start = performance.now();
  const terms = run(texts) / texts.length;
  const seconds = (performance.now() - start) / 1000;
  console.log(JSON.stringify({ name, textsPerSecond: texts.length / seconds, seconds, termsPerText: terms }));
}
encoder.dispose();
