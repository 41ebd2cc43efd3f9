// @huggingface/tokenizers (plain JavaScript) as a server of JSON lines, like tokenizers_server.py.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const peers = join(dirname(fileURLToPath(import.meta.url)), "..", "..", ".peers");
const folder = join(peers, "node", "node_modules", "@huggingface", "tokenizers");
const require = createRequire(join(peers, "node", "package.json"));
const { Tokenizer } = require("@huggingface/tokenizers");
const version = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;

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
      version: `@huggingface/tokenizers ${version}`,
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
for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    const request = JSON.parse(line);
    reply = { ok: true, ...handlers[request.cmd](request) };
  } catch (error) {
    reply = { ok: false, error: error.message };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
