import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { memory, readSafetensors, scope, type Tensor, writeSafetensors, zeros } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import {
  createFolderCopies,
  expectedOf,
  expectNear,
  fixture,
  folderFixtures,
  rows,
} from "../../../test/embedder-folders.js";
import { trainWordPiece, wordListTokenizer } from "../../text/index.js";
import { wordListOf } from "../../text/word-list.js";
import { createEmbedder, type EmbedOptions, partsOf } from "../embedder.js";
import { layerPoolingOf } from "../layer-pooling.js";
import { embedLongTexts } from "../long-texts.js";
import { loadEmbedder, saveEmbedder } from "../sentence-transformers.js";
import { createStaticEmbedder } from "../static-embedder.js";
import { trainEmbedder } from "../train-embedder.js";

const { folder, copyOf, remove } = createFolderCopies();
afterAll(remove);

const calls: Record<string, EmbedOptions> = { default: {}, query: { role: "query" }, document: { role: "document" } };

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const sources = readdirSync(folderFixtures);

describe("folders that sentence-transformers wrote", () => {
  test.each(sources)("%s: the same vectors, also after saving, and without waiting", async (name) => {
    const { texts, embeddings, similarity } = expectedOf(name);
    const embedder = loadEmbedder(fixture(name));
    const saved = join(folder, `${name}-saved`);
    saveEmbedder(embedder, saved);
    const loaded = loadEmbedder(saved);
    for (const one of [embedder, loaded]) {
      expect(one.options.similarity).toBe(similarity);
      for (const [call, expected] of Object.entries(embeddings)) {
        expect(one.width).toBe(expected[0].length);
        expectNear(rows(one, texts, calls[call]), expected);
        const later = await one.embedAsync(texts, { ...calls[call], tokenBudget: 9 });
        expectNear(later.toArray() as number[][], expected);
        later.dispose();
      }
    }
    expect(loaded.options).toEqual(embedder.options);
    expect([...loaded.parameters.keys()]).toEqual([...embedder.parameters.keys()]);
    embedder.dispose();
    loaded.dispose();
  });

  test.each(sources)("%s: what is loaded is freed, and what fails to load", (name) => {
    const before = memory.stats().liveBytes;
    const embedder = loadEmbedder(fixture(name));
    expect(memory.stats().liveBytes).toBeGreaterThan(before);
    embedder.dispose();
    expect(memory.stats().liveBytes).toBe(before);
    const broken = copyOf(name);
    const modules = JSON.parse(readFileSync(join(broken, "modules.json"), "utf8")) as object[];
    writeFileSync(join(broken, "modules.json"), JSON.stringify([...modules, { path: "9_Dense", type: "Dense" }]));
    expect(() => loadEmbedder(broken)).toThrow(code("EMBEDDER_FILE"));
    expect(memory.stats().liveBytes).toBe(before);
  });

  test("gradients flow through every kind: a step changes each parameter that texts reach, and learns", async () => {
    const fixed: string[] = [];
    for (const name of sources) {
      const embedder = loadEmbedder(fixture(name));
      const learns = [...embedder.parameters].filter(([, value]) => value.requiresGrad);
      if (learns.length === 0) {
        fixed.push(name);
        embedder.dispose();
        continue;
      }
      const before = new Map([...embedder.parameters].map(([key, value]) => [key, value.toTypedArray()]));
      const pairs = [
        { query: "a small cat", document: "cats and dogs" },
        { query: "the moon", document: "a star far away" },
      ];
      const options = { batchSize: 2, learningRate: 0.02, tableLearningRate: 0.1 };
      await trainEmbedder(embedder, pairs, { ...options, steps: 60 });
      const [queries, documents] = (["query", "document"] as const).map((role) =>
        rows(
          embedder,
          pairs.map((pair) => pair[role]),
          { role },
        ),
      );
      const score = (q: number, d: number) => queries[q].reduce((sum, value, c) => sum + value * documents[d][c], 0);
      for (const [own, other] of [
        [0, 1],
        [1, 0],
      ])
        expect(score(own, own)).toBeGreaterThan(score(own, other));
      const frozen = [...embedder.parameters].filter(([, value]) => !value.requiresGrad);
      for (const [key, value] of frozen) expect(String(value.toTypedArray())).toBe(String(before.get(key)));
      const still = learns.filter(([key, value]) => String(value.toTypedArray()) === String(before.get(key)));
      expect(still.map(([key]) => key)).toEqual([]);
      embedder.dispose();
    }
    expect(fixed).toEqual(["bag-of-counts", "word-embeddings"]);
  });
});

describe("words, before a pooling", () => {
  test("a word is looked up as it stands, without its marks, in lower case; what the list lacks is left out", () => {
    const tokenizer = wordListTokenizer({ words: ["cat", "Dog", "(star", "-", "the"], stopWords: ["the"] });
    const ids = (text: string) => [...tokenizer.encodeIds(text)];
    expect(ids("Cat, dog Dog! (star) star the THE - --  cat\u00a0cat")).toEqual([0, 1, 3, 0, 0]);
    expect(ids("(star")).toEqual([2]);
    const lower = wordListTokenizer({ words: ["cat", "Dog"], lowerCase: true });
    expect([...lower.encodeIds("CAT Dog")]).toEqual([0]);
    expect(wordListOf(lower)).toEqual({ words: ["cat", "Dog"], stopWords: [], lowerCase: true });
  });

  test("what training changed is saved: rows of words, weights of words, cells and kernels", async () => {
    for (const name of ["word-weights", "word-lstm", "word-cnn", "bag-of-words"]) {
      const embedder = loadEmbedder(fixture(name));
      const { texts } = expectedOf(name);
      const pairs = [0, 4].map((i) => ({ query: texts[i], document: texts[i + 1 > 4 ? 1 : 2] }));
      const before = rows(embedder, texts);
      await trainEmbedder(embedder, pairs, { batchSize: 2, steps: 3, learningRate: 0.05 });
      const saved = join(folder, `${name}-trained`);
      saveEmbedder(embedder, saved);
      const loaded = loadEmbedder(saved);
      expectNear(rows(loaded, texts), rows(embedder, texts));
      expect(rows(embedder, texts)).not.toEqual(before);
      const cut = loaded.truncate({ dims: 3 });
      const whole = rows(loaded, texts, { normalize: false }).map((row) => row.slice(0, 3));
      expectNear(rows(cut, texts, { normalize: false }), whole);
      for (const one of [embedder, loaded, cut]) one.dispose();
    }
  });

  test("kernels that leave another number of vectors, words of phrases, and what does not fit are refused", () => {
    const change = (name: string, file: string, values: object): string => {
      const path = copyOf(name);
      const settings = JSON.parse(readFileSync(join(path, file), "utf8")) as object;
      writeFileSync(join(path, file), JSON.stringify({ ...settings, ...values }));
      return path;
    };
    const cnn = join("1_CNN", "cnn_config.json");
    const refused: [string, string][] = [
      [change("word-cnn", cnn, { kernel_sizes: [1, 2, 5] }), "EMBEDDER_MODULE"],
      [
        change("word-weights", "wordembedding_config.json", { tokenizer_class: "x.PhraseTokenizer" }),
        "EMBEDDER_MODULE",
      ],
    ];
    for (const [path, wanted] of refused) expect(() => loadEmbedder(path)).toThrow(code(wanted));
    expect(() => loadEmbedder(change("word-cnn", cnn, { stride_sizes: [1, 2, 1] }))).toThrow(code("EMBEDDER_MODULE"));
    const narrow = change("word-lstm", join("1_LSTM", "lstm_config.json"), { embedding_dimension: 3 });
    expect(() => loadEmbedder(narrow)).toThrow(code("EMBEDDER_FILE"));
    const few = loadEmbedder(change("word-weights", join("1_WordWeights", "config.json"), { vocab: ["a"] }));
    expect(() => few.embed(["a cat"])).toThrow(code("EMBEDDER_VOCABULARY"));
    few.dispose();
    expect(() => loadEmbedder(fixture("bert-cnn"), { pooled: false })).toThrow(code("EMBEDDER_MODULE"));
    const lstm = loadEmbedder(fixture("word-lstm"));
    expect(() => embedLongTexts(lstm, ["a cat"], { strategy: "late-chunk" })).toThrow(code("INVALID_OPTION"));
    lstm.dispose();
  });

  test("weights that do not fit the settings, or are missing, are refused, and those before them freed", () => {
    const change = (name: string, module: string, edit: (weights: Map<string, Tensor>) => void): string => {
      const path = copyOf(name, `${name}-weights`);
      const file = join(path, module, "model.safetensors");
      const read = readSafetensors(file);
      const weights = new Map(read.names.map((key) => [key, read.load(key)]));
      read.close();
      edit(weights);
      writeSafetensors(file, weights);
      for (const value of weights.values()) value.dispose();
      return path;
    };
    for (const [name, module, last] of [
      ["word-lstm", "1_LSTM", "encoder.bias_hh_l0_reverse"],
      ["word-cnn", "1_CNN", "convs.2.bias"],
    ]) {
      const wrong = change(name, module, (weights) => {
        weights.get(last)?.dispose();
        weights.set(last, zeros([1]).keep());
      });
      const before = memory.stats().liveBytes;
      expect(() => loadEmbedder(wrong)).toThrow(code("EMBEDDER_FILE"));
      expect(memory.stats().liveBytes).toBe(before);
      const without = change(name, module, (weights) => {
        weights.get(last)?.dispose();
        weights.delete(last);
      });
      expect(() => loadEmbedder(without)).toThrow(last);
      expect(memory.stats().liveBytes).toBe(before);
    }
  });

  test("a bag that does not fit is refused, and one of another tokenizer is not written", () => {
    const words = loadEmbedder(fixture("word-cnn"));
    const bag = { words: words.tokenizer.vocabularySize, cumulative: true };
    const { model, tokenizer, tokenModules } = words;
    for (const parts of [{ bag }, { bag, tokenModules }])
      expect(() => createEmbedder(model, tokenizer, parts)).toThrow(code("INVALID_OPTION"));
    words.dispose();
    const counts = loadEmbedder(fixture("bag-of-words"));
    const few = { words: 1, cumulative: true };
    expect(() => createEmbedder(counts.model, counts.tokenizer, { bag: few })).toThrow(code("INVALID_OPTION"));
    const pieces = trainWordPiece(["a cat"], { vocabularySize: 9, minFrequency: 1 });
    const other = createEmbedder(counts.model, pieces, { ...partsOf(counts), pooling: "mean" });
    expect(() => saveEmbedder(other, join(folder, "no-list"))).toThrow(code("EMBEDDER_MODULE"));
    counts.dispose();
  });

  test("nothing to train is said", async () => {
    const embedder = loadEmbedder(fixture("word-embeddings"));
    const pairs = [0, 1].map((i) => ({ query: `cat ${i}`, document: `moon ${i}` }));
    await expect(trainEmbedder(embedder, pairs, { steps: 1 })).rejects.toThrow(code("FREEZE_ALL"));
    embedder.dispose();
  });
});

describe("static embeddings", () => {
  test("the rows of model2vec's folder are written as sentence-transformers has them", () => {
    const saved = join(folder, "model2vec-saved");
    const embedder = loadEmbedder(fixture("model2vec"));
    saveEmbedder(embedder, saved);
    expect(existsSync(join(saved, "config.json"))).toBe(false);
    const [first] = JSON.parse(readFileSync(join(saved, "modules.json"), "utf8")) as { type: string }[];
    expect(first.type).toBe("sentence_transformers.models.StaticEmbedding");
    embedder.dispose();
  });

  test("a plan gives what the engine gives, a mean of rows, and nothing for a text without tokens", () => {
    const { tokenizer } = loadEmbedder(fixture("static"));
    const embedder = createStaticEmbedder(tokenizer, { width: 5, normalize: false, seed: 3 });
    const table = embedder.parameters.get("embeddings.word.weight")?.toArray() as number[][];
    const texts = ["the cat and the dog", "", "a moon"];
    const plain = texts.map((text) => {
      const ids = [...tokenizer.encodeIds(text, { addSpecialTokens: false })];
      return table[0].map((_, c) => ids.reduce((sum, id) => sum + table[id][c], 0) / Math.max(1, ids.length));
    });
    expectNear(rows(embedder, texts), plain);
    expectNear(
      scope(() => embedder.embedBatch(embedder.pack(texts)).toArray() as number[][]),
      plain,
    );
    embedder.dispose();
  });

  test("a limit of tokens stands in tokenizer.json, where sentence-transformers reads it", () => {
    const { tokenizer } = loadEmbedder(fixture("static"));
    const embedder = createStaticEmbedder(tokenizer, { width: 4, maxLength: 3 });
    const saved = join(folder, "limited");
    saveEmbedder(embedder, saved);
    const { truncation } = JSON.parse(readFileSync(join(saved, "tokenizer.json"), "utf8")) as { truncation: object };
    expect(truncation).toEqual({ direction: "Right", max_length: 3, strategy: "LongestFirst", stride: 0 });
    const loaded = loadEmbedder(saved);
    expect(loaded.options).toEqual(embedder.options);
    expect(rows(loaded, ["a cat and a moon"])).toEqual(rows(embedder, ["a cat and"]));
    embedder.dispose();
    loaded.dispose();
  });

  test("a step visits the rows of its tokens only, and loses nothing of memory", async () => {
    const { tokenizer } = loadEmbedder(fixture("static"));
    const embedder = createStaticEmbedder(tokenizer, { width: 8 });
    const table = embedder.parameters.get("embeddings.word.weight");
    const before = table?.toArray() as number[][];
    const pairs = [
      { query: "cat", document: "cats" },
      { query: "moon", document: "star" },
    ];
    await trainEmbedder(embedder, pairs, { steps: 5, batchSize: 2, learningRate: 0.1 });
    const after = table?.toArray() as number[][];
    const ids = new Set(
      pairs.flatMap(({ query, document }) => embedder.tokenize([query, document])).flatMap((x) => [...x]),
    );
    after.forEach((row, id) => {
      if (ids.has(id)) expect(row).not.toEqual(before[id]);
      else expect(row).toEqual(before[id]);
    });
    embedder.dispose();
  });
});

describe("weights of layers", () => {
  test("without the states of layers in config.json the module does nothing, as in sentence-transformers", () => {
    const path = copyOf("weighted-layers");
    const config = JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as Record<string, unknown>;
    writeFileSync(join(path, "config.json"), JSON.stringify({ ...config, output_hidden_states: false }));
    const embedder = loadEmbedder(path);
    expect(layerPoolingOf(embedder.model)).toBeUndefined();
    embedder.dispose();
  });

  test("vectors are shortened, layers are not left out, and single layers not asked for", async () => {
    const { texts, embeddings } = expectedOf("weighted-layers");
    const embedder = loadEmbedder(fixture("weighted-layers"));
    const cut = embedder.truncate({ dims: 16 });
    expectNear(rows(cut, texts), embeddings.default);
    expect(() => embedder.truncate({ layers: 2 })).toThrow(code("INVALID_OPTION"));
    const pairs = [
      { query: "a", document: "cat" },
      { query: "moon", document: "star" },
    ];
    const options = { steps: 1, batchSize: 2, loss: { type: "matryoshka2d", base: "multiple-negatives", dims: [16] } };
    await expect(trainEmbedder(embedder, pairs, options)).rejects.toThrow(code("CONFIG_UNSUPPORTED"));
    cut.dispose();
    embedder.dispose();
  });
});
