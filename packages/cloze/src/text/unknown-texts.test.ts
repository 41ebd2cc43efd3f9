import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { wordModel, wordTokenizer } from "../../test/tiny-models.js";
import { buildCorpus } from "../data/corpus/index.js";
import { createEmbedder } from "../embedding/embedder.js";
import { trainEmbedder } from "../embedding/train-embedder.js";
import { taskParts } from "../tasks/index.js";
import { finetune } from "../training/finetune.js";
import { silentProgress } from "../training/progress.js";
import { countUnknown } from "./unknown-texts.js";

const tokenizer = wordTokenizer("a small cat and a large dog");

const folder = mkdtempSync(join(tmpdir(), "cloze-unknown-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("texts of unknown tokens alone", () => {
  test("are counted: one known word is enough, and a text of nothing is not unknown", () => {
    const count = countUnknown(tokenizer);
    for (const text of ["a cat", "\u4f60 \u597d", "\u4f60 cat", ""]) count.add(tokenizer.encodeIds(text));
    expect([count.texts, count.unknown]).toEqual([4, 1]);
    expect(count.note()).toMatch(/^1 of 4 texts became only \[UNK\] with this vocabulary.*They stay in; take/);
    const none = countUnknown({ ...tokenizer, roles: {}, model: tokenizer.model });
    none.add(tokenizer.encodeIds("\u4f60"));
    expect(none.note()).toBeUndefined();
  });

  test("training says so once, and only where there are some", async () => {
    const said: string[] = [];
    const progress = { ...silentProgress, note: (line: string) => void said.push(line) };
    for (const [documents, unknown] of [
      [["a dog", "\u4f60\u597d"], 1],
      [["a dog", "a cat"], 0],
    ] as const) {
      const embedder = createEmbedder(wordModel(tokenizer), tokenizer);
      const pairs = documents.map((document, i) => ({ query: ["large", "small"][i], document }));
      const result = await trainEmbedder(embedder, pairs, { steps: 2, batchSize: 2, progress });
      expect(result.unknownTexts).toBe(unknown);
      embedder.dispose();
    }
    expect(said.filter((line) => line.includes("[UNK]"))).toEqual([expect.stringMatching(/^1 of 4 texts/)]);
  });

  test("fine-tuning and corpora count them among their warnings", async () => {
    const train = ["a cat", "\u4f60", "a dog", "\u597d \u4f60"].map((text, row) => ({
      text,
      label: row % 2 ? "x" : "y",
      row,
    }));
    const { model, warnings } = await finetune({
      task: taskParts.classification,
      model: wordModel(tokenizer),
      tokenizer,
      train,
      epochs: 1,
    });
    expect(warnings.find(({ code }) => code === "TEXT_UNKNOWN")).toMatchObject({
      count: 2,
      message: expect.stringContaining("extendTokenizer"),
    });
    model.dispose();
    writeFileSync(join(folder, "texts.txt"), "a small cat\n\u4f60 \u597d\na large dog\n");
    const built = await buildCorpus({
      sources: [join(folder, "texts.txt")],
      tokenizer,
      folder: join(folder, "corpus"),
      workers: 0,
    });
    expect(built.corpus.manifest.warnings).toContainEqual(
      expect.objectContaining({
        code: "CORPUS_UNKNOWN",
        count: 1,
        message: expect.stringMatching(/they stay in.*extendTokenizer/),
      }),
    );
  });
});
