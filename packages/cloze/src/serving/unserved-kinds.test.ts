// Folders of parts of a search pipeline are refused, not served as the encoders in them; an index that one made is searched by
// its words.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, expect, test } from "vitest";
import { post } from "../../test/post.js";
import { tinyTokenizer, wordModel, writeTinyModel } from "../../test/tiny-models.js";
import { modelFingerprint } from "../retrieval/store/model-fingerprint.js";
import { openIndex } from "../retrieval/store/search-index.js";
import { createEpic } from "../retrieval/term-weighting/epic.js";
import { saveEpic } from "../retrieval/term-weighting/epic-folder.js";
import { trainedParts } from "../retrieval/trained-parts/index.js";
import { loadServedFolder } from "./loaded-model.js";
import { createServer } from "./server.js";
import { unservedKind } from "./unserved-kinds.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-unserved-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("every part that is trained and has a folder of its own is refused, with what it is for", async () => {
  const names = ["joint", "term-weighter", ...trainedParts.map(({ type }) => type)];
  const refused: string[] = [];
  for (const name of names) {
    const place = join(folder, name);
    mkdirSync(place);
    const model = writeTinyModel(place, "language");
    writeFileSync(join(model, `${name}.json`), "{}");
    // Both weighters of words stand in one file, which is of another name: "term-weighter".
    if (trainedParts.some(({ type, recognises }) => type === name && !recognises(model))) continue;
    refused.push(name);
    await expect(loadServedFolder(model)).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      received: unservedKind(model)?.title,
      remedy: expect.stringContaining("cloze"),
    });
  }
  expect(refused.sort()).toEqual(["early-exit", "epic", "joint", "parade", "prettr", "term-weighter", "tilde"]);
});

test("an index of EPIC's weights is served without them, with a warning", async () => {
  const tokenizer = tinyTokenizer();
  const epic = createEpic(wordModel(tokenizer, { architecture: "ForMaskedLM" }), tokenizer, {}, { seed: 3 });
  const place = join(folder, "an-epic");
  saveEpic(epic, place);
  const texts = ["a small cat", "a large dog"];
  const made = { model: place, fingerprint: modelFingerprint(place) };
  const index = openIndex(join(folder, "index"), { write: true, create: { weights: made } });
  index.add(
    texts.map((text, i) => ({ id: `d${i}`, text })),
    { weights: epic.encode(texts) },
  );
  index.close();
  epic.dispose();
  const lines: string[] = [];
  const logger = pino({ base: undefined }, { write: (line: string) => void lines.push(line) });
  const server = await createServer({ indexes: [{ folder: join(folder, "index") }], logger });
  await server.load();
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 40, code: "INDEX_PART_UNSERVED", index: "index" },
  ]);
  const { status, body } = await post(server, "/search", { query: "dog" });
  expect([status, body.pipeline, body.hits.map(({ id }: { id: string }) => id)]).toEqual([200, "bm25", ["d1"]]);
  const asked = await post(server, "/search", { query: "dog", pipeline: "splade" });
  expect(asked).toMatchObject({
    status: 424,
    body: { error: "index is not served by its learned weights of terms, which an EPIC made; it is searched by bm25" },
  });
  await server.app.close();
  server.dispose();
});
