// The TypeScript of the README and of docs/library.md runs as it stands.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const snippetsOf = (path: string) =>
  [...readFileSync(join(root, path), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
// Two of the README, five of the library's page.
const snippets = [...snippetsOf("README.md"), ...snippetsOf("docs/library.md")];
const scratch = join(root, "build", "readme");
const folder = mkdtempSync(join(tmpdir(), "cloze-readme-"));

beforeAll(async () => {
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  // The first snippet reads an embedder: the fourth one writes one of the same layout.
  await run(3);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(index: number): Promise<unknown[][]> {
  const path = join(scratch, `snippet-${index}.ts`);
  writeFileSync(path, `const folder = ${JSON.stringify(folder)};\n${snippets[index]}`);
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  try {
    await import(path);
    return log.mock.calls;
  } finally {
    log.mockRestore();
  }
}

test("there are seven snippets", () => expect(snippets).toHaveLength(7));

test.each([0, 1, 2, 4, 5, 6])("snippet %i runs", async (index) => {
  const lines = await run(index);
  if (index === 0) expect(lines[0]).toHaveLength(2);
  if (index === 1) expect(lines[0][0]).toMatchObject({ label: "good" });
  if (index === 2) expect(lines[0][0]).toMatchObject([{ id: "1" }]);
  if (index === 5) expect(lines[0][0]).toEqual([100, 32]);
  if (index === 6) expect(lines[0]).toHaveLength(2);
});

test("the embedder that docs/library.md trains has every file of its format", () => {
  for (const name of ["config.json", "model.safetensors", "tokenizer.json", "modules.json", "1_Pooling/config.json"]) {
    expect(existsSync(join(folder, name)), name).toBe(true);
  }
});
