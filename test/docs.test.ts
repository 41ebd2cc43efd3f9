// What documents say of the command is what it takes, and what they link to is there.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const main = join(root, "packages/cloze/dist/cli/main.js");
const pages = ["README.md", "CONTRIBUTING.md", "packages/tensor/README.md"].concat(
  readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
);
const textOf = (page: string) => readFileSync(join(root, page), "utf8");
/** Lines of blocks of code that call the command, without their comments. */
const linesOf = (page: string) =>
  textOf(page)
    .split("\n")
    .filter((line) => line.startsWith("cloze "))
    .map((line) => line.replace(/\s+# .*/, ""));

const help = async (words: readonly string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, [main, ...words, "--help"])).stdout;
/** Names under "Commands:" in a help text. */
const commandsIn = (text: string): string[] =>
  [...(text.split("\nCommands:\n")[1] ?? "").matchAll(/^ {2}([a-z-]+)/gm)]
    .map((match) => match[1])
    .filter((name) => name !== "help");

beforeAll(() => {
  execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: ["ignore", "ignore", "pipe"] });
}, 300_000);

test("the README's overview has every command once", async () => {
  const overview = linesOf("README.md").filter((line) => !line.includes("--model classifier"));
  expect(overview.map((line) => line.split(" ")[1]).sort()).toEqual(commandsIn(await help([])).sort());
});

test("every line of the command in a document parses", async () => {
  const helps = new Map<string, Promise<string>>();
  const helpOf = (words: readonly string[]): Promise<string> => {
    const key = words.join(" ");
    const text = helps.get(key) ?? help(words);
    helps.set(key, text);
    return text;
  };
  const check = async (line: string): Promise<void> => {
    const [, name, next = ""] = line.split(" ");
    let words = [name];
    const commands = commandsIn(await helpOf(words));
    if (commands.includes(next)) words = [name, next];
    // What evaluate does without a sub-command.
    else if (commands.includes("task")) words = [name, "task"];
    const known = await helpOf(words);
    const options = line.replace(/"[^"]*"/g, "text").matchAll(/\s(--[a-z0-9-]+)/g);
    for (const [, option] of options) expect(known, line).toMatch(new RegExp(`^ +(-\\w, )?${option}\\b(?!-)`, "m"));
  };
  const names = new Set(pages.flatMap(linesOf).map((line) => line.split(" ")[1]));
  await Promise.all([...names].map((name) => helpOf([name])));
  await Promise.all(pages.flatMap(linesOf).map(check));
  expect(helps.size).toBeGreaterThan(20);
}, 60_000);

test("no merge left its marks", () => {
  for (const page of [...pages, "CHANGELOG.md"]) expect(textOf(page), page).not.toMatch(/^(<{7}|={7}|>{7})/m);
});

describe("links", () => {
  test.each(pages)("%s", (page) => {
    for (const [, target] of textOf(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (target.includes("://")) continue;
      expect(existsSync(join(root, dirname(page), target)), target).toBe(true);
    }
  });
});
