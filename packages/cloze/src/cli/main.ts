#!/usr/bin/env node
// The `cloze` command. One file per sub-command; each adds itself to the program.
import { readFileSync } from "node:fs";
import * as nodeModule from "node:module";
import { reportError, watchOutput } from "./output.js";
import { calledCommand, createProgram } from "./program.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

// From Node 22.1 on; what was compiled once is read from a folder of Node's own, where it may write.
(nodeModule as { enableCompileCache?: () => unknown }).enableCompileCache?.();

watchOutput();
try {
  const program = await createProgram(version, calledCommand(process.argv.slice(2)));
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError(error, process.argv.includes("--json"));
}
