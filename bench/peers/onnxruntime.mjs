// onnxruntime-node as a server of JSON lines on standard input and output:
//   {"cmd":"prepare","model":"bert-base","file":"model.onnx","ids":[[…],…],"out":"PREFIX"}   ragged ids; padded here
//     with "sorted": 8 the rows are sorted by length and run eight at a time, each eight padded to its longest
//   {"cmd":"run","repeat":3} -> {"ok":true,"milliseconds":[…]}           {"cmd":"close"}
// `--memory FILE` runs the forward pass of that JSON file { model, ids, runs } and prints the peak memory of the process.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { peers, require, serveLines, timed, versionOf } from "./json-lines.mjs";

const { InferenceSession, Tensor } = require("onnxruntime-node");
const threads = Number(process.env.OMP_NUM_THREADS ?? 2);

let session;
let model;
let batches = [];

const openSession = (file) =>
  InferenceSession.create(file, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    logSeverityLevel: 3,
    ...(process.env.ORT_SAVE_OPTIMIZED ? { optimizedModelFilePath: process.env.ORT_SAVE_OPTIMIZED } : {}),
  });

/** Rows as tensors, padded to the longest. */
function padded(rows) {
  const width = Math.max(...rows.map((row) => row.length));
  const ids = new BigInt64Array(rows.length * width);
  const mask = new BigInt64Array(rows.length * width);
  rows.forEach((row, i) => {
    row.forEach((id, j) => {
      ids[i * width + j] = BigInt(id);
      mask[i * width + j] = 1n;
    });
  });
  const shape = [rows.length, width];
  return { input_ids: new Tensor("int64", ids, shape), attention_mask: new Tensor("int64", mask, shape) };
}

const handlers = {
  async prepare(request) {
    const file = join(peers, "cache", request.model, request.file ?? "model.onnx");
    if (model !== file) {
      await session?.release();
      session = await openSession(file);
      model = file;
    }
    const rows = request.ids;
    const order = rows.map((_, i) => i);
    if (request.sorted) order.sort((a, b) => rows[a].length - rows[b].length);
    const size = request.sorted ?? rows.length;
    const cut = Array.from({ length: Math.ceil(rows.length / size) }, (_, i) => order.slice(i * size, (i + 1) * size));
    batches = cut.map((part) => padded(part.map((row) => rows[row])));
    const states = new Array(rows.length);
    for (const [b, part] of cut.entries()) {
      const { hidden } = await session.run(batches[b]);
      const [, width, channels] = hidden.dims;
      part.forEach((row, i) => {
        const from = i * width * channels;
        states[row] = hidden.data.slice(from, from + rows[row].length * channels);
      });
    }
    const packed = new Float32Array(states.reduce((sum, state) => sum + state.length, 0));
    let position = 0;
    for (const state of states) {
      packed.set(state, position);
      position += state.length;
    }
    writeFileSync(`${request.out}.0.f32`, packed);
    return {
      outputs: [`${request.out}.0.f32`],
      version: `onnxruntime-node ${versionOf("onnxruntime-node")}, ${threads} threads`,
    };
  },
  async run({ repeat }) {
    return {
      milliseconds: await timed(repeat, async () => {
        for (const batch of batches) await session.run(batch);
      }),
    };
  },
  async close() {
    batches = [];
    return {};
  },
};

if (process.argv[2] === "--memory") {
  const { model, ids, runs } = JSON.parse(readFileSync(process.argv[3], "utf8"));
  const session = await openSession(join(peers, "cache", model, "model.onnx"));
  const { peakOfLife, riseDuring } = await import("../../build/bench/ours/peak-memory.js");
  const runBytes = await riseDuring(async () => {
    for (let i = 0; i < runs; i++) await session.run(padded(ids));
  });
  console.log(JSON.stringify({ peakBytes: peakOfLife(), runBytes }));
} else await serveLines(handlers);
