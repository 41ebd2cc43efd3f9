import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteFile } from "hyparquet-writer";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { trainWordPiece } from "../text/index.js";
import { type BuildDocumentsOptions, buildDocuments } from "./build-documents.js";
import { pretrain } from "./pretrain.js";

const nouns = ["river", "mountain", "letter", "garden", "engine", "window", "harbour", "market", "bridge", "winter"];
/** Three sentences about a noun, numbered so that paragraphs differ. */
const paragraph = (d: number, p: number): string =>
  [0, 1, 2]
    .map((s) => `The ${nouns[d % 10]} number ${d} stood beside the ${nouns[(p + s) % 10]} for ${p} years.`)
    .join(" ");
const document = (d: number): string => [0, 1].map((p) => paragraph(d, p)).join("\n\n");
const tokenizer = trainWordPiece([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(document), {
  vocabularySize: 200,
  minFrequency: 1,
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-documents-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const build = (sources: string[], more: Partial<BuildDocumentsOptions> = {}) =>
  buildDocuments({ sources, tokenizer, path: join(folder, "run", "documents.bin"), ...more });
const texts = (documents: Awaited<ReturnType<typeof build>>["documents"]) =>
  Array.from({ length: documents.count }, (_, i) =>
    tokenizer.decode(
      documents
        .document(i)
        .sections.flat()
        .flatMap(({ sentences }) => sentences.flatMap((ids) => [...ids])),
    ),
  );

describe("documents", () => {
  test("of text: paragraphs by a blank line, documents by two", async () => {
    const { documents, counts } = await build([file("a.txt", `${document(0)}\n\n\n${document(1)}\n\n\nshort\n`)]);
    expect(counts).toEqual({ training: 2, validation: 0, duplicates: 0, short: 1 });
    expect(documents.document(0).sections.flat()).toHaveLength(2);
    expect(documents.document(0).sections[0][0].sentences).toHaveLength(3);
    expect(tokenizer.decode([...documents.document(1).sections[0][0].sentences[0]])).toContain("the mountain number 1");
    documents.close();
    // What stood between does not stay.
    expect(readdirSync(join(folder, "run")).some((name) => name.endsWith(".part"))).toBe(false);
  });

  test("of a folder of all kinds are the same; what is no text is counted", async () => {
    const mixed = join(folder, "mixed");
    mkdirSync(mixed);
    const put = (name: string, content: string | Uint8Array) => writeFileSync(join(mixed, name), content);
    put("0.txt", document(0));
    put("1.txt.gz", gzipSync(document(1)));
    put("2.jsonl", `${JSON.stringify({ title: "t", text: document(2) })}\n{broken\n{"n":1}\n`);
    put("3.jsonl", JSON.stringify({ body: document(3) }));
    put("4.csv", `id,text\n1,"${document(4)}"\n`);
    put("6.txt", `\ufeff${document(6).replaceAll("\n", "\r\n")}`);
    put("empty.txt", "");
    put(
      "picture.png",
      Uint8Array.from({ length: 3000 }, (_, i) => (i * 7919) % 256),
    );
    parquetWriteFile({
      filename: join(mixed, "5.parquet"),
      columnData: [{ name: "text", data: [document(5)], type: "STRING" }],
    });
    const { documents, warnings, counts } = await build([mixed]);
    expect(counts.training).toBe(7);
    const found = texts(documents);
    for (let d = 0; d < 7; d++) expect(found.some((text) => text.includes(`number ${d} stood`))).toBe(true);
    for (let i = 0; i < 7; i++) expect(documents.document(i).sections.flat()).toHaveLength(2);
    const codes = warnings.map(({ code }) => code);
    for (const code of ["CORPUS_BINARY_FILE", "CORPUS_EMPTY_FILE", "CORPUS_BAD_LINE", "CORPUS_ROW_WITHOUT_TEXT"]) {
      expect(codes).toContain(code);
    }
    documents.close();
  });

  test("links lead to documents by their titles", async () => {
    const article = (d: number, links: string[]) =>
      JSON.stringify({ title: `T${d}`, sections: [[{ text: paragraph(d, 0), links }, paragraph(d, 1)]] });
    const path = file("a.jsonl", `${article(0, ["T1", "nowhere", "T0"])}\n${article(1, [])}\n`);
    const { documents } = await build([path]);
    expect(documents.document(0).sections[0][0].links).toEqual([1]);
    expect(documents.document(1).sections[0][0].links).toBeUndefined();
    documents.close();
  });

  test.each([
    ["blank lines", "a.txt", "\n\n\n", "CORPUS_EMPTY"],
    ["one short line", "a.txt", "hello\n", "CORPUS_EMPTY"],
    ["no JSON", "a.jsonl", "{\n", "DOCUMENT_FORMAT"],
    ["JSON without texts", "a.jsonl", '{"n":1}\n', "CORPUS_TEXT_FIELD"],
  ])("%s: a coded error", async (_, name, content, code) => {
    await expect(build([file(name, content)])).rejects.toMatchObject({ code });
  });

  test("are opened as they are, refused when the files changed while a run goes on, made anew otherwise", async () => {
    const path = file("a.txt", `${document(0)}\n\n\n${document(1)}\n`);
    const first = await build([path]);
    first.documents.close();
    const again = await build([path], { resume: true });
    expect([first.built, again.built, again.documents.count]).toEqual([true, false, 2]);
    again.documents.close();
    file("a.txt", `${document(0)}\n\n\n${document(1)}\n\n\n${document(2)}\n`);
    await expect(build([path], { resume: true })).rejects.toMatchObject({
      code: "CORPUS_CHANGED",
      received: expect.stringContaining("a.txt"),
    });
    const anew = await build([path]);
    expect(anew.documents.count).toBe(3);
    anew.documents.close();
  });

  test("that repeat others are left out where it is asked", async () => {
    const near = document(0).replace("The river", "That river");
    const path = file("a.txt", [document(0), document(1), document(0), near].join("\n\n\n"));
    for (const [deduplicate, count] of [
      ["none", 4],
      ["exact", 3],
      ["near", 2],
    ] as const) {
      const { documents, counts } = await build([path], { deduplicate });
      expect(documents.count, deduplicate).toBe(count);
      expect(counts.duplicates).toBe(4 - count);
      documents.close();
    }
  });
});

test("held-out documents are not trained on, and the loss on them is measured without changing the run", async () => {
  const path = file("a.txt", Array.from({ length: 40 }, (_, d) => document(d)).join("\n\n\n"));
  const { documents, counts } = await build([path], { validationShare: 0.2 });
  expect(counts.validation).toBeGreaterThan(1);
  expect(counts.training + counts.validation).toBe(40);
  const trained = new Set(texts(documents));
  for (const text of texts(documents.heldOut as typeof documents)) expect(trained.has(text)).toBe(false);
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize: 16,
    layers: 1,
    heads: 2,
    maxPositions: 64,
    dropout: 0.1,
  });
  const run = async (validateEvery?: number) => {
    const model = createModel({ architecture: "ForMaskedLM", config, seed: 1 });
    const result = await pretrain(model, tokenizer, documents, {
      objective: { type: "ssp" },
      steps: 30,
      learningRate: 5e-3,
      batchTokens: 600,
      ...(validateEvery === undefined ? {} : { validateEvery }),
    });
    const bits = [...model.parameters.values()].map((value) => value.toTypedArray());
    model.dispose();
    return { ...result, bits };
  };
  const measured = await run(10);
  expect(measured.validation.map(({ step }) => step)).toEqual([10, 20, 30]);
  expect(measured.validation[2].loss).toBeLessThan(measured.validation[0].loss);
  expect(measured.bits).toEqual((await run()).bits);
  documents.close();
  expect(existsSync(join(folder, "run", "documents.bin.validation"))).toBe(true);
});
