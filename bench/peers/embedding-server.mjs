// What people write themselves: Fastify before transformers.js.   node embedding-server.mjs one|batches FOLDER
//   POST /embed {"inputs":"text"} or {"inputs":["text", …]} -> [[…], …]     prints {"url":…,"version":…} when it is ready
// one: a request after the other, as it comes; batches: what waits runs together, at most 32 texts, padded to the longest.
// FOLDER: tokenizer files and onnx/model.onnx
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import fastify from "fastify";
import { require, versionOf } from "./json-lines.mjs";

const [kind, folder] = process.argv.slice(2);
const { pipeline, env } = await import(pathToFileURL(require.resolve("@huggingface/transformers")).href);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const extract = await pipeline("feature-extraction", folder.split("/").pop(), { dtype: "fp32" });
const embed = async (texts) => (await extract(texts, { pooling: "mean", normalize: true })).tolist();

let last = Promise.resolve();
const one = (texts) => {
  last = last.then(
    () => embed(texts),
    () => embed(texts),
  );
  return last;
};

const most = 32;
const waiting = [];
let running = false;
async function drain() {
  if (running) return;
  running = true;
  while (waiting.length > 0) {
    let count = 0;
    const taken = [];
    while (waiting.length > 0 && (count === 0 || count + waiting[0].texts.length <= most)) {
      count += waiting[0].texts.length;
      taken.push(waiting.shift());
    }
    try {
      const rows = await embed(taken.flatMap(({ texts }) => texts));
      for (const { texts, resolve } of taken) resolve(rows.splice(0, texts.length));
    } catch (error) {
      for (const { reject } of taken) reject(error);
    }
  }
  running = false;
}
const batches = (texts) =>
  new Promise((resolve, reject) => {
    waiting.push({ texts, resolve, reject });
    setImmediate(drain);
  });

const answer = { one, batches }[kind];
const app = fastify();
app.post("/embed", ({ body: { inputs } }) => answer(typeof inputs === "string" ? [inputs] : inputs));
process.on("SIGTERM", () => process.exit(0));
const url = await app.listen({ port: 0, host: "127.0.0.1" });
console.log(JSON.stringify({ url, version: `transformers.js ${versionOf("@huggingface/transformers")}` }));
