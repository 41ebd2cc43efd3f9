import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { addData } from "./data.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-data-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  process.exitCode = undefined;
  vi.restoreAllMocks();
});
const file = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

/** What `cloze data check …` prints, and its exit status. */
async function check(...args: string[]): Promise<{ output: string; status: unknown }> {
  let output = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    output += text;
    return true;
  });
  const program = new Command().exitOverride();
  addData(program);
  program.commands[0].commands[0]
    .option("--json")
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  await program.parseAsync(["data", "check", ...args], { from: "user" });
  vi.restoreAllMocks();
  return { output, status: process.exitCode ?? 0 };
}

test("data check reports on two files, and fails where training would", async () => {
  const train = file("train.tsv", "review\tstars\nfine\t1\npoor\t0\npoor\t0\n");
  const dev = file("dev.tsv", "review\tstars\nfine\t1\nodd\t2\n");
  const { output, status } = await check("--task", "classification", "--train", train, "--dev", dev);
  expect(status).toBe(1);
  expect(output).toContain(`${train}: 3 rows`);
  expect(output).toContain('text: column "review" (guessed)');
  expect(output).toContain("labels: 0 2 · 1 1");
  expect(output).toContain('warning TEXT_DUPLICATE: 1 × rows that repeat an earlier one\n    row 3: "poor"');
  expect(output).toContain("error LABEL_UNSEEN: 1 × labels that do not occur in training\n    2 (1)");
  expect(output).toContain("1 kinds of errors, 2 kinds of warnings");
});

test("data check takes column options and prints JSON", async () => {
  const path = file("a.txt", "x;a|b\ny;b\n");
  const given = ["--format", "csv", "--delimiter", "semicolon", "--header", "words,what", "--label-separator", "|"];
  const columns = ["--column", "text=words", "--column", "label=what"];
  const { output, status } = await check(path, "--task", "multi-label", "--json", ...given, ...columns);
  expect(status).toBe(0);
  expect(JSON.parse(output)).toMatchObject({
    ok: true,
    files: [{ path, rows: 2, columns: { text: "words", label: "what" }, guesses: [], labels: { a: 1, b: 2 } }],
  });
});

test("data check needs a file, a task, and columns that exist", async () => {
  const path = file("b.tsv", "text\tlabel\nx\t1\n");
  const code = (expected: string) => expect.objectContaining({ code: expected });
  await expect(check("--task", "ranking")).rejects.toThrow(code("DATA_FILE_MISSING"));
  await expect(check("--task", "ranking", "--dev", path)).rejects.toThrow(code("DATA_FILE_MISSING"));
  await expect(check(path)).rejects.toThrow(code("commander.missingMandatoryOptionValue"));
  await expect(check(path, "--task", "classification", "--column", "label")).rejects.toThrow(
    code("commander.invalidArgument"),
  );
  await expect(check(path, "--task", "classification", "--column", "label=stars")).rejects.toThrow(
    expect.objectContaining({ code: "DATA_COLUMN_MISSING", message: expect.stringContaining("columns text, label") }),
  );
});
