// onnxruntime-node as a server of JSON lines on standard input and output:
//   {"cmd":"prepare","model":"bert-base","file":"model.onnx","ids":[[…],…],"out":"PREFIX"}   ragged ids; padded here
//   {"cmd":"run","repeat":3} -> {"ok":true,"milliseconds":[…]}           {"cmd":"close"}
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const peers = join(dirname(fileURLToPath(import.meta.url)), "..", "..", ".peers");
const require = createRequire(join(peers, "node", "package.json"));
const { InferenceSession, Tensor } = require("onnxruntime-node");
const version = JSON.parse(
  readFileSync(join(peers, "node", "node_modules", "onnxruntime-node", "package.json"), "utf8"),
).version;
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
    return { outputs: [`${request.out}.0.f32`], version: `onnxruntime-node ${version}, ${threads} threads` };
  },
  async run(request) {
    const milliseconds = [];
    for (let i = 0; i < request.repeat; i++) {
      const start = performance.now();
      await session.run(feeds);
      milliseconds.push(performance.now() - start);
    }
    return { milliseconds };
  },
  async close() {
    feeds = undefined;
    return {};
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
