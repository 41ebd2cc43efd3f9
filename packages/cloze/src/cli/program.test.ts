import type { Command } from "commander";
import { expect, test } from "vitest";
import { commands } from "./commands.js";
import { calledCommand, createProgram } from "./program.js";

/** The line of help of a program's only command. */
const lineOf = (program: Command, name: string): string | undefined =>
  program
    .createHelp()
    .visibleCommands(program)
    .filter((command) => command.name() === name)
    .map((command) => `${program.createHelp().subcommandTerm(command)}: ${command.description()}`)[0];

test.each(Object.keys(commands))("what help says of %s is what the command says of itself", async (name) => {
  const outline = lineOf(await createProgram("1", undefined), name);
  expect(outline).toBe(lineOf(await createProgram("1", name), name));
  expect(outline).toContain(name);
});

test("the command that is called is found", () => {
  expect(calledCommand(["search", "folder", "train"])).toBe("search");
  expect(calledCommand(["help", "search"])).toBe("search");
  for (const words of [[], ["--help"], ["--quiet", "search"], ["help"], ["serach"], ["toString"], ["-V"]])
    expect(calledCommand(words)).toBe(undefined);
});

test("help, versions and mistyped names need no command", async () => {
  const program = await createProgram("1.2.3", calledCommand(["serach"]));
  program.configureOutput({ writeErr: () => {}, writeOut: () => {} });
  await expect(program.parseAsync(["serach"], { from: "user" })).rejects.toMatchObject({
    code: "commander.unknownCommand",
    message: expect.stringContaining("Did you mean search?"),
  });
});
