// fastembed and transformers.js as servers of JSON lines:   node node-embedders.mjs fastembed|transformers
//   {"cmd":"prepare","folder":FOLDER,"texts":FILE,"limit":256,"out":"PREFIX"}   FOLDER: tokenizer files and onnx/model.onnx
//   {"cmd":"run","repeat":1} -> {"ok":true,"milliseconds":[…]}          {"cmd":"close"}
// fastembed pads every text to the limit, and takes the first token's state for the vector (it knows no mean).
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { require, serveLines, timed, versionOf } from "./json-lines.mjs";

const kind = process.argv[2];

let texts;
let embed;

const makers = {
  async fastembed({ folder, limit }) {
    const { FlagEmbedding, EmbeddingModel } = require("fastembed");
    const model = await FlagEmbedding.init({
      model: EmbeddingModel.CUSTOM,
      modelAbsoluteDirPath: folder,
      modelName: join("onnx", "model.onnx"),
      maxLength: limit,
    });
    embed = async (list) => {
      const rows = [];
      for await (const batch of model.embed(list, 32)) rows.push(...batch);
      return rows;
    };
    return `fastembed ${versionOf("fastembed")}`;
  },
  async transformers({ folder }) {
    const entry = require.resolve("@huggingface/transformers");
    const { pipeline, env } = await import(pathToFileURL(entry).href);
    env.allowRemoteModels = false;
    env.localModelPath = dirname(folder);
    const extract = await pipeline("feature-extraction", folder.split("/").pop(), { dtype: "fp32" });
    embed = async (list) => {
      const rows = [];
      // Sorted by length, in batches of 32: padding is wasted otherwise.
      const order = [...list.keys()].sort((a, b) => list[a].length - list[b].length);
      for (let at = 0; at < order.length; at += 32) {
        const group = order.slice(at, at + 32);
        const output = await extract(
          group.map((i) => list[i]),
          { pooling: "mean", normalize: true },
        );
        const width = output.dims[1];
        group.forEach((i, row) => {
          rows[i] = output.data.slice(row * width, (row + 1) * width);
        });
      }
      return rows;
    };
    return `transformers.js ${versionOf("@huggingface/transformers")}`;
  },
};

const handlers = {
  async prepare(request) {
    texts = JSON.parse(readFileSync(request.texts, "utf8"));
    const version = await makers[kind](request);
    const first = await embed(texts.slice(0, 64));
    const flat = Float32Array.from(first.flatMap((row) => Array.from(row)));
    writeFileSync(`${request.out}.0.f32`, flat);
    return { outputs: [`${request.out}.0.f32`], version };
  },
  async run({ repeat }) {
    return { milliseconds: await timed(repeat, () => embed(texts)) };
  },
  async close() {
    return {};
  },
};

await serveLines(handlers);
