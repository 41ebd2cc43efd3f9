// A server of every tiny model and an index, asked without a network, and what the library itself answers.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope } from "@cloze/tensor";
import { loadEmbedder } from "../src/embedding/sentence-transformers.js";
import { openIndex } from "../src/retrieval/store/search-index.js";
import { createServer } from "../src/serving/server.js";
import { writeTinyModels } from "./tiny-models.js";

export const texts = ["the small cat", "a large dog ran after the cat on the mat", "london"];

export const cosine = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i], 0) / (Math.hypot(...a) * Math.hypot(...b));

/** The server, loaded; `close` ends it and removes its folders. */
export async function serveTinyModels() {
  const folder = mkdtempSync(join(tmpdir(), "cloze-serving-"));
  const folders = writeTinyModels(folder);
  const index = openIndex(join(folder, "index"), { write: true, create: {} });
  index.add([{ id: "1", text: "the small cat" }]);
  index.close();
  const server = await createServer({
    models: Object.values(folders).map((place) => ({ folder: place })),
    indexes: [{ folder: join(folder, "index") }],
  });
  await server.load();

  return {
    folders,
    async post(url: string, payload: object | string, headers: Record<string, string> = {}) {
      const response = await server.app.inject({
        method: "POST",
        url,
        payload,
        headers: { "content-type": "application/json", ...headers },
      });
      // biome-ignore lint/suspicious/noExplicitAny: the shape is what each test looks at.
      return { status: response.statusCode, headers: response.headers, body: response.json() as any };
    },
    async get(url: string) {
      const response = await server.app.inject({ method: "GET", url });
      return { status: response.statusCode, text: response.body, headers: response.headers };
    },
    /** Vectors by the library itself. */
    direct(list: readonly string[] = texts): number[][] {
      const embedder = loadEmbedder(folders.embedder);
      const vectors = scope(() => embedder.embed(list).toArray() as number[][]);
      embedder.dispose();
      return vectors;
    },
    async close() {
      await server.app.close();
      server.dispose();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
