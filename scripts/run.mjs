// `node scripts/run.mjs <what> [arguments]`: builds what is out of date, then runs one of the repository's programs.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { build, root } from "./build.mjs";

const programs = {
  cloze: ["packages/cloze/dist/cli/main.js"],
  parity: ["packages/cloze/dist/parity/main.js"],
  bench: ["build/bench/run.js"],
  test: ["node_modules/vitest/vitest.mjs", "run"],
};

const [what, ...rest] = process.argv.slice(2);
const program = programs[what];
if (program === undefined) {
  console.error(`Usage: node scripts/run.mjs ${Object.keys(programs).join("|")} [arguments]`);
  process.exit(2);
}
try {
  await build();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
const [script, ...fixed] = program;
const child = spawn(process.execPath, ["--enable-source-maps", join(root, script), ...fixed, ...rest], {
  stdio: "inherit",
  cwd: what === "test" ? root : (process.env.INIT_CWD ?? process.cwd()),
});
// The child decides what an interrupt means (save, say how to resume); this process only waits for it.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => signal === "SIGTERM" && child.kill(signal));
child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
