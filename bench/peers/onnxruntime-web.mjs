// onnxruntime-web's WebAssembly as a server of JSON lines, as onnxruntime.mjs is:
//   {"cmd":"prepare","model":"minilm-6x384","ids":[[…],…],"out":"PREFIX"}   rows of one length
//   {"cmd":"run","repeat":3} -> {"ok":true,"milliseconds":[…]}
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { peers, require, serveLines, timed, versionOf } from "./json-lines.mjs";

const ort = require("onnxruntime-web");
const threads = Number(process.env.OMP_NUM_THREADS ?? 1);
ort.env.wasm.numThreads = threads;
ort.env.logLevel = "error";

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
    return {
      outputs: [`${out}.0.f32`],
      version: `onnxruntime-web ${versionOf("onnxruntime-web")}, ${threads} threads`,
    };
  },
  async run({ repeat }) {
    return { milliseconds: await timed(repeat, () => session.run(feeds)) };
  },
};

await serveLines(handlers);
