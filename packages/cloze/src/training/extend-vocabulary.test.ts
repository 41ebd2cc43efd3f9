import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAdamW, decayGroups, memory, randomNormal, scope, type Tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { openTokenStore, writeTokenStore } from "../data/token-store.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, loadModel, type Model, saveModel } from "../families/index.js";
import { maskTokens } from "../objectives/masking.js";
import { extendTokenizer } from "../text/extend-vocabulary.js";
import { loadTokenizer, type Tokenizer, trainBpe, trainUnigram, trainWordPiece } from "../text/index.js";
import { extendVocabulary } from "./extend-vocabulary.js";
import { pretrain } from "./pretrain.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-vocabulary-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const subjects = ["the cat", "a dog", "my brother", "the old man", "her teacher", "some bird"];
const verbs = ["sees", "likes", "finds", "follows", "hears", "paints"];
const objects = ["a house", "the river", "green apples", "an open door", "the letter", "small stones"];
const general = Array.from(
  { length: 216 },
  (_, i) => `${subjects[i % 6]} ${verbs[Math.floor(i / 6) % 6]} ${objects[Math.floor(i / 36)]}.`,
);
const organs = ["hepatic", "gastric", "cardiac", "pancreatic"];
const findings = ["carcinoma", "fibrosis", "adenoma", "infarction"];
const domain = Array.from(
  { length: 64 },
  (_, i) => `the ${organs[i % 4]} ${findings[Math.floor(i / 4) % 4]} follows a ${organs[Math.floor(i / 16)]} adenoma.`,
);
/** Every letter as the first of a word and inside of one. */
const alphabet = Array.from("abcdefghijklmnopqrstuvwxyz", (letter) => `${letter}${letter}`).join(" ");

const makers: Record<string, () => Tokenizer> = {
  WordPiece: () => trainWordPiece([...general, alphabet, alphabet], { vocabularySize: 160 }),
  BPE: () => trainBpe([...general, alphabet, alphabet], { vocabularySize: 330 }),
  Unigram: () => trainUnigram([...general, alphabet, alphabet], { vocabularySize: 120 }),
};
const idsOf = (tokenizer: Tokenizer, text: string) => Array.from(tokenizer.encodeIds(text));
const total = (tokenizer: Tokenizer, texts: readonly string[]) =>
  texts.reduce((sum, text) => sum + tokenizer.encodeIds(text, { addSpecialTokens: false }).length, 0);

describe.each(Object.keys(makers))("%s", (name) => {
  const before = makers[name]();

  test("new pieces shorten the domain's texts; the others, and old ids, stay", () => {
    const extended = extendTokenizer(before, { texts: domain }, { count: 30 });
    const { tokenizer, added } = extended;
    expect(added.length).toBeGreaterThanOrEqual(7);
    expect(added.length).toBeLessThanOrEqual(30);
    expect(tokenizer.vocabularySize).toBe(before.vocabularySize + added.length);
    expect(total(tokenizer, domain)).toBeLessThan(0.7 * total(before, domain));
    expect(extended.tokensBefore).toBe(total(before, domain));
    expect(extended.tokensAfter).toBe(total(tokenizer, domain));
    expect(extended.unknownWords).toBe(0);
    // Other texts change only where a new piece stands; here, in words that the domain has too.
    let same = 0;
    for (const text of general) {
      const ids = idsOf(tokenizer, text);
      if (ids.every((id) => id < before.vocabularySize)) {
        expect(ids).toEqual(idsOf(before, text));
        same++;
      } else expect(ids.length).toBeLessThan(idsOf(before, text).length);
    }
    expect(same).toBeGreaterThan(general.length / 4);
    for (let id = 0; id < before.vocabularySize; id++) expect(tokenizer.idToToken(id)).toBe(before.idToToken(id));
    added.forEach(({ id, token, pieces }, i) => {
      expect(id).toBe(before.vocabularySize + i);
      expect(tokenizer.idToToken(id)).toBe(token);
      expect(pieces.length).toBeGreaterThan(1);
      expect(before.decode(pieces).replaceAll(" ", "")).toBe(tokenizer.decode([id]).replaceAll(" ", ""));
    });
    const words = domain.flatMap((text) => text.split(/[ .]+/).filter(Boolean));
    expect(extended.changedWords).toBeLessThan(words.length);
    expect(extended.changedWords).toBeGreaterThan(words.length / 4);
    for (const text of domain)
      expect(tokenizer.decode(tokenizer.encodeIds(text))).toBe(before.decode(before.encodeIds(text)));
    tokenizer.save(join(folder, name));
    expect(idsOf(loadTokenizer(join(folder, name)), domain[5])).toEqual(idsOf(tokenizer, domain[5]));
  });

  test("named words become one piece", () => {
    const { tokenizer, added } = extendTokenizer(before, { words: ["infarction", "the"] }, { count: 2 });
    expect(tokenizer.encodeIds("an infarction", { addSpecialTokens: false })).toHaveLength(
      before.encodeIds("an", { addSpecialTokens: false }).length + 1,
    );
    expect(added.some(({ token }) => token.endsWith("infarction"))).toBe(true);
    expect(() => extendTokenizer(before, { words: ["two words"] }, { count: 1 })).toThrow(
      expect.objectContaining({ code: "TOKENIZER_EXTEND" }),
    );
  });
});

/** Mean loss on masked texts, the same tokens hidden each time. */
function lossOf(model: Model, tokenizer: Tokenizer, texts: readonly string[]): number {
  const batch = packSequences(texts.map((text) => ({ ids: tokenizer.encodeIds(text) })));
  const { maskId, vocabularySize, specialIds } = tokenizer;
  const masked = maskTokens(batch, { maskId, vocabularySize, specialIds }, randomSource(3, 1), { rate: 0.3 });
  return scope(() => model.forward(masked.batch, masked).loss?.item() ?? Number.NaN);
}

test("a model grows with means of rows, which is a better start than random rows; it is saved as what it was, and trains", async () => {
  const live = memory.stats().liveBytes;
  const tokenizer = makers.WordPiece();
  const path = join(folder, "tokens.bin");
  const texts = [...general, ...domain];
  writeTokenStore(
    path,
    texts.map((text) => tokenizer.encodeIds(text, { addSpecialTokens: false })),
  );
  const store = openTokenStore(path);
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize + 3,
    hiddenSize: 32,
    layers: 1,
    heads: 2,
    maxPositions: 64,
    dropout: 0,
  });
  const small = createModel({ architecture: "ForMaskedLM", config, seed: 2 });
  await pretrain(small, tokenizer, store, { steps: 120, learningRate: 5e-3, batchTokens: 1024, checkpointMinutes: 0 });
  store.close();
  const table = small.parameters.get("encoder.embeddings.word.weight")?.toArray() as number[][];
  const extended = extendVocabulary(small, tokenizer, { texts: domain }, { count: 20 });
  const { model, added } = extended;
  const size = tokenizer.vocabularySize + added.length;
  expect(model.config.vocabularySize).toBe(size);
  const larger = model.parameters.get("encoder.embeddings.word.weight")?.toArray() as number[][];
  expect(larger).toHaveLength(size);
  expect(model.parameters.get("head.decoder.bias")?.shape).toEqual([size]);
  expect(larger.slice(0, tokenizer.vocabularySize)).toEqual(table.slice(0, tokenizer.vocabularySize));
  const { id, pieces } = added[1];
  larger[id].forEach((value, column) => {
    expect(value).toBeCloseTo(pieces.reduce((sum, piece) => sum + table[piece][column], 0) / pieces.length, 6);
  });
  const means = lossOf(model, extended.tokenizer, domain);
  const word = model.parameters.get("encoder.embeddings.word.weight") as Tensor;
  const bias = model.parameters.get("head.decoder.bias") as Tensor;
  const rows = word.toTypedArray();
  const biases = bias.toTypedArray();
  const write = (to: Tensor, values: ArrayLike<number>) => {
    to.storage.backend.write(Float32Array.from(values), to.pointer);
    to.markWritten();
  };
  const random = scope(() => randomNormal([added.length, 32], { seed: 8, std: 0.02 }).toTypedArray());
  write(word, [...rows.slice(0, tokenizer.vocabularySize * 32), ...random]);
  write(bias, [...biases.slice(0, tokenizer.vocabularySize), ...new Float32Array(added.length)]);
  expect(lossOf(model, extended.tokenizer, domain)).toBeGreaterThan(means + 0.2);
  write(word, rows);
  write(bias, biases);
  saveModel(model, join(folder, "model"));
  extended.tokenizer.save(join(folder, "model"));
  const again = loadModel(join(folder, "model"));
  expect(again.source).toMatchObject({ model_type: "bert", vocab_size: size });
  expect(lossOf(again, loadTokenizer(join(folder, "model")), domain)).toBeCloseTo(means, 5);
  again.dispose();
  const optimizer = createAdamW(decayGroups(model.parameters, { learningRate: 1e-3, weightDecay: 0 }));
  const domainPath = join(folder, "domain.bin");
  writeTokenStore(
    domainPath,
    domain.map((text) => extended.tokenizer.encodeIds(text, { addSpecialTokens: false })),
  );
  const domainStore = openTokenStore(domainPath);
  await pretrain(model, extended.tokenizer, domainStore, { steps: 30, learningRate: 5e-3, checkpointMinutes: 0 });
  domainStore.close();
  expect(lossOf(model, extended.tokenizer, domain)).toBeLessThan(means);
  optimizer.dispose();
  model.dispose();
  expect(memory.stats().liveBytes).toBe(live);
});
