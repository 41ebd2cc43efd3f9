// onnxruntime-web's WebAssembly as a server of JSON lines, as onnxruntime.mjs is:
//   {"cmd":"prepare","model":"minilm-6x384","ids":[[…],…],"out":"PREFIX"}   rows of one length
//   {"cmd":"run","repeat":3} -> {"ok":true,"milliseconds":[…]}
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const peers = join(dirname(fileURLToPath(import.meta.url)), "..", "..", ".peers");
const require = createRequire(join(peers, "node", "package.json"));
const ort = require("onnxruntime-web");
const threads = Number(process.env.OMP_NUM_THREADS ?? 1);
ort.env.wasm.numThreads = threads;
ort.env.logLevel = "error";
const folder = join(peers, "node", "node_modules", "onnxruntime-web");
const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

let session;
let feeds;

const handlers = {
  async prepare({ model, ids: rows, out }) {
    session = await ort.InferenceSession.create(readFileSync(join(peers, "cache", model, "model.onnx")), {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
    });
    const shape = [rows.length, rows[0].length];
    const ids = BigInt64Array.from(rows.flat(), BigInt);
    feeds = {
      input_ids: new ort.Tensor("int64", ids, shape),
      attention_mask: new ort.Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
    };
    const { hidden } = await session.run(feeds);
    writeFileSync(`${out}.0.f32`, hidden.data);
    return { outputs: [`${out}.0.f32`], version: `onnxruntime-web ${version}, ${threads} threads` };
  },
  async run({ repeat }) {
    const milliseconds = [];
    for (let i = 0; i < repeat; i++) {
      const start = performance.now();
      await session.run(feeds);
      milliseconds.push(performance.now() - start);
    }
    return { milliseconds };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    const request = JSON.parse(line);
    reply = { ok: true, ...(await handlers[request.cmd](request)) };
  } catch (error) {
    reply = { ok: false, error: error.message };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
