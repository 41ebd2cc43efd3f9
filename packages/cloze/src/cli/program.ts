// The command line as a whole.
import { Command } from "commander";
import { commands } from "./commands.js";

const remark = "(add --help for what this command takes)";

/** What every command has, and those below it. */
function completed(command: Command): void {
  command.exitOverride().configureHelp({ showGlobalOptions: false }).showHelpAfterError(remark);
  if (command.commands.length === 0) {
    command.option("--json", "print the result as JSON on standard output").option("--quiet", "no progress");
  }
  command.commands.forEach(completed);
}

/** Commands by what help says of them; they do nothing. */
function addOutlines(program: Command): void {
  for (const [name, { takes = "", about, group = false }] of Object.entries(commands)) {
    const outline = program.command(`${name} ${takes}`.trimEnd()).description(about);
    // Without one it would be taken for a command without options.
    if (group) outline.command("any");
  }
}

/** The name of the command that arguments call, or ask for help on; undefined where they call none. */
export function calledCommand([first, second]: readonly string[]): string | undefined {
  const name = first === "help" ? second : first;
  return name !== undefined && Object.hasOwn(commands, name) ? name : undefined;
}

/**
 * The command line with one command, or with what help says of all.
 *
 * @param called the name of the command; undefined: none is run
 */
export async function createProgram(version: string, called: string | undefined): Promise<Command> {
  const program = new Command("cloze")
    .description("The encoder workshop: train, shrink, embed with, search with and serve BERT-family encoders.")
    .version(version)
    .showHelpAfterError(remark)
    .exitOverride();
  if (called === undefined) addOutlines(program);
  else (await commands[called].load())(program);
  program.commands.forEach(completed);
  return program;
}
