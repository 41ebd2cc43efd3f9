// A few thousand malformed requests; `node build/bench/serving/fuzz-main.js` sends a hundred thousand.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openIndex } from "cloze";
import { expect, test } from "vitest";
import { fuzz } from "../bench/serving/fuzz.js";
import { writeTinyModels } from "../packages/cloze/test/tiny-models.js";
import { startServe } from "./serve-process.js";

test("malformed requests get documented statuses, and the server goes on as before", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cloze-fuzz-"));
  const models = Object.values(writeTinyModels(folder)).flatMap((place) => ["--model", place]);
  const place = join(folder, "index");
  const index = openIndex(place, { write: true, create: {} });
  index.add([{ id: "1", text: "the small cat", fields: { year: 2001, tag: ["a"], lang: "de" } }]);
  index.close();
  const server = await startServe([...models, "--index", place, "--receive-timeout", "1", "--log-level", "error"]);
  const ask = async () => {
    const response = await fetch(`${server.url}/embed`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ inputs: "the small cat" }),
    });
    return [response.status, await response.json()];
  };
  const before = await ask();
  const { outcomes, failures } = await fuzz({ port: Number(new URL(server.url).port), requests: 3000, seed: 7 });
  expect(failures).toEqual([]);
  expect(outcomes).toMatchObject({ 200: expect.any(Number), 400: expect.any(Number), 422: expect.any(Number) });
  expect(await ask()).toEqual(before);
  expect((await server.end()).status).toBe(0);
  expect(server.errors()).not.toContain('"status":5');
  rmSync(folder, { recursive: true, force: true });
});
