import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, expect, test, vi } from "vitest";
import { loadTokenizer } from "../text/index.js";
import { addTokenizer } from "./tokenizer.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-tokenizer-command-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["wordpiece", 90],
  ["bpe", 300],
  ["words", 90],
] as const)("cloze tokenizer train --balance keeps words of a small file, %s", (type, size) => {
  const large = join(folder, "large.txt");
  const small = join(folder, "small.txt");
  writeFileSync(
    large,
    Array.from({ length: 300 }, (_, i) => `the old house on hill ${i} was quiet and its garden was green`).join("\n"),
  );
  writeFileSync(small, "estoppel bars the plaintiff\nthe plaintiff pleads estoppel\n");
  const train = (out: string, ...more: string[]) => {
    const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const program = new Command("cloze").exitOverride();
    addTokenizer(program);
    program.commands[0].commands[0].option("--json").option("--quiet");
    program.parse(
      [
        "tokenizer",
        "train",
        large,
        small,
        "--out",
        join(folder, out),
        "--vocabulary-size",
        String(size),
        "--type",
        type,
        ...more,
      ],
      { from: "user" },
    );
    written.mockRestore();
    return loadTokenizer(join(folder, out));
  };
  const pieces = (tokenizer: ReturnType<typeof train>) => {
    const { tokens } = tokenizer.encode("the plaintiff pleads estoppel", { addSpecialTokens: false });
    return tokens.length + 10 * tokens.filter((token) => token === "[UNK]").length;
  };
  expect(pieces(train("balanced", "--balance", "bytes"))).toBeLessThan(pieces(train("plain")));
});

test("cloze tokenizer train leaves files out that hold no text, and counts them", () => {
  const mixed = join(folder, "mixed");
  mkdirSync(mixed);
  writeFileSync(join(mixed, "a.txt"), "a cat and a dog\n");
  writeFileSync(join(mixed, "b.txt"), Buffer.from(Array.from({ length: 4000 }, (_, i) => (i * 7919) % 256)));
  const train = (source: string) => {
    const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const program = new Command("cloze").exitOverride();
    addTokenizer(program);
    program.commands[0].commands[0].option("--json").option("--quiet");
    try {
      program.parse(["tokenizer", "train", source, "--out", join(folder, "mixed-out"), "--json"], { from: "user" });
      return JSON.parse(written.mock.calls.map(([text]) => text).join("")) as object;
    } finally {
      vi.restoreAllMocks();
    }
  };
  expect(train(mixed)).toMatchObject({ warnings: [{ code: "CORPUS_BINARY_FILE", count: 1 }] });
  const tokenizer = loadTokenizer(join(folder, "mixed-out"));
  expect([...tokenizer.model.entries()].some(([token]) => token.includes("\ufffd"))).toBe(false);
  expect(() => train(join(mixed, "b.txt"))).toThrow(expect.objectContaining({ code: "CORPUS_EMPTY" }));
});
