// The folders that sentence-transformers wrote, with the vectors that it gives, and copies of them that may be changed.
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scope } from "@cloze/tensor";
import { expect } from "vitest";
import type { Embedder, EmbedOptions } from "../src/embedding/embedder.js";

export const folderFixtures = fileURLToPath(new URL("fixtures/embedders/folders", import.meta.url));
export const fixture = (name: string): string => join(folderFixtures, name);

/** A folder for copies, and for what tests save. */
export function createFolderCopies() {
  const folder = mkdtempSync(join(tmpdir(), "cloze-embedder-folders-"));
  return {
    folder,
    /** A copy that may be changed. */
    copyOf(name: string, target = `${name}-copy`): string {
      rmSync(join(folder, target), { recursive: true, force: true });
      cpSync(fixture(name), join(folder, target), { recursive: true });
      return join(folder, target);
    },
    remove: (): void => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface Expected {
  texts: string[];
  embeddings: Record<string, number[][]>;
  similarity: string;
}
export const expectedOf = (name: string): Expected =>
  JSON.parse(readFileSync(join(fixture(name), "expected.json"), "utf8"));
export const rows = (embedder: Embedder, texts: readonly string[], options: EmbedOptions = {}): number[][] =>
  scope(() => embedder.embed(texts, options).toArray() as number[][]);

export function expectNear(received: readonly number[][], expected: readonly number[][]): void {
  expect(received.map((row) => row.length)).toEqual(expected.map((row) => row.length));
  const differences = received.flatMap((row, i) => row.map((value, c) => Math.abs(value - expected[i][c])));
  expect(Math.max(...differences)).toBeLessThan(5e-6);
}
