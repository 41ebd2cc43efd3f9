// What tells one model from another: a hash of everything that its vectors depend on.
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join, relative } from "node:path";
import { ClozeError } from "../../errors.js";
import type { ModelFacts } from "./manifest.js";

const counts = /\.(safetensors|json|txt|model)$/;
/** Folders of modules: 1_Pooling, and of a router's routes query_0_StaticEmbedding. */
const isModule = (name: string): boolean => /^(\w+_)?\d+_/.test(name);
/** Files that say nothing about vectors. */
const silent = /^(README\.md|log\.jsonl|config_sentence_transformers\.json|trainer_state\.json)$/;
/** Where encoders of tokens, and they alone, keep what their vectors depend on: lengths, markers, what is skipped. */
const tokenSettings = "config_sentence_transformers.json";
const saysLengths = (path: string): boolean => /"query_length"\s*:/.test(readFileSync(path, "utf8"));

function filesOf(folder: string): string[] {
  const speaks = (name: string) => !silent.test(name) || (name === tokenSettings && saysLengths(join(folder, name)));
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return isModule(entry.name) ? filesOf(path) : [];
    return counts.test(entry.name) && speaks(entry.name) ? [path] : [];
  });
}

/** SHA-256 of a model's weights, tokenizer and settings. */
export function modelFingerprint(folder: string): string {
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(1 << 22);
  for (const path of filesOf(folder).sort()) {
    hash.update(`${relative(folder, path)}\0`);
    const file = openSync(path, "r");
    for (let size = readSync(file, buffer); size > 0; size = readSync(file, buffer))
      hash.update(buffer.subarray(0, size));
    closeSync(file);
  }
  return hash.digest("hex");
}

/**
 * Refuses a model that made nothing of an index.
 *
 * @param index what it is called, for people
 * @param made the models that made its vectors, weights or tokens; without any, all are welcome
 * @param model what the model is called, where it has a name
 * @throws INDEX_MODEL
 */
export function checkFingerprint(
  index: string,
  made: readonly (ModelFacts | undefined)[],
  fingerprint: string | undefined,
  model?: string,
): void {
  const models = made.filter((facts) => facts !== undefined);
  const named = (name: string | undefined, hash: string) =>
    name === undefined ? hash.slice(0, 12) : `${name} (${hash.slice(0, 12)})`;
  if (fingerprint === undefined || models.length === 0 || models.some((facts) => facts.fingerprint === fingerprint))
    return;
  throw new ClozeError("INDEX_MODEL", `${index} was made with another model`, {
    expected: models.map((facts) => named(facts.model, facts.fingerprint)).join(", "),
    received: named(model, fingerprint),
    remedy: "Name the model that made the index (--model), or index the documents again.",
  });
}
