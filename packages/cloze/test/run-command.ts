import { Command } from "commander";
import { vi } from "vitest";

/** Runs one command of the command line in this process, and gives what it prints with --json. */
export async function runCommand<Result = never>(add: (program: Command) => void, ...args: string[]): Promise<Result> {
  const out = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const program = new Command("cloze").exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  add(program);
  const leaves = (command: Command): Command[] =>
    command.commands.length ? command.commands.flatMap(leaves) : [command];
  for (const leaf of leaves(program)) leaf.exitOverride().option("--json").option("--quiet");
  try {
    await program.parseAsync([...args, "--json", "--quiet"], { from: "user" });
    return JSON.parse(out.mock.calls.map(([text]) => text).join("")) as Result;
  } finally {
    out.mockRestore();
  }
}
