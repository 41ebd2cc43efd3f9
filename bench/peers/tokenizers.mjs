// @huggingface/tokenizers (plain JavaScript) as a server of JSON lines, like tokenizers_server.py.
import { readFileSync } from "node:fs";
import { require, serveLines, versionOf } from "./json-lines.mjs";

const { Tokenizer } = require("@huggingface/tokenizers");

let tokenizer;
let texts = [];
const handlers = {
  prepare(request) {
    const json = JSON.parse(readFileSync(request.tokenizer, "utf8"));
    json.padding = null;
    json.truncation = null;
    tokenizer = new Tokenizer(json, {});
    texts = JSON.parse(readFileSync(request.texts, "utf8"));
    return {
      ids: texts.flatMap((text) => [...tokenizer.encode(text).ids]),
      version: `@huggingface/tokenizers ${versionOf("@huggingface/tokenizers")}`,
    };
  },
  run(request) {
    const milliseconds = [];
    for (let i = 0; i < request.repeat; i++) {
      const start = performance.now();
      for (const text of texts) tokenizer.encode(text);
      milliseconds.push(performance.now() - start);
    }
    return { milliseconds };
  },
  close() {
    texts = [];
    return {};
  },
};
await serveLines(handlers);
