// onnxruntime-node as a server of JSON lines on standard input and output:
//   {"cmd":"prepare","model":"bert-base","file":"model.onnx","ids":[[…],…],"out":"PREFIX"}   ragged ids; padded here
//   {"cmd":"run","repeat":3} -> {"ok":true,"milliseconds":[…]}           {"cmd":"close"}
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { peers, require, serveLines, timed, versionOf } from "./json-lines.mjs";

const { InferenceSession, Tensor } = require("onnxruntime-node");
const threads = Number(process.env.OMP_NUM_THREADS ?? 2);

let session;
let model;
let feeds;

const handlers = {
  async prepare(request) {
    const file = join(peers, "cache", request.model, request.file ?? "model.onnx");
    if (model !== file) {
      await session?.release();
      session = await InferenceSession.create(file, {
        executionProviders: ["cpu"],
        graphOptimizationLevel: "all",
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionMode: "sequential",
        logSeverityLevel: 3,
        ...(process.env.ORT_SAVE_OPTIMIZED ? { optimizedModelFilePath: process.env.ORT_SAVE_OPTIMIZED } : {}),
      });
      model = file;
    }
    const rows = request.ids;
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
    feeds = { input_ids: new Tensor("int64", ids, shape), attention_mask: new Tensor("int64", mask, shape) };
    const { hidden } = await session.run(feeds);
    const size = hidden.dims[2];
    const packed = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0) * size);
    let position = 0;
    rows.forEach((row, i) => {
      packed.set(hidden.data.subarray(i * width * size, (i * width + row.length) * size), position);
      position += row.length * size;
    });
    writeFileSync(`${request.out}.0.f32`, packed);
    return {
      outputs: [`${request.out}.0.f32`],
      version: `onnxruntime-node ${versionOf("onnxruntime-node")}, ${threads} threads`,
    };
  },
  async run({ repeat }) {
    return { milliseconds: await timed(repeat, () => session.run(feeds)) };
  },
  async close() {
    feeds = undefined;
    return {};
  },
};

await serveLines(handlers);
