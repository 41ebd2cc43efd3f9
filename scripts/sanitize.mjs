// `node scripts/sanitize.mjs address|thread [tests]`: builds the native module with that sanitizer of the compiler's, and runs
// tests with it (default: those of the tensor package and of inference). Node itself is not instrumented, so the sanitizer's
// library is loaded before it; what it finds ends the test's process with its report.
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildNative } from "../packages/tensor/native/build.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const [sanitize, ...given] = process.argv.slice(2);
const libraries = { address: "libasan.so", thread: "libtsan.so" };
if (!Object.hasOwn(libraries, sanitize ?? "")) {
  console.error("Usage: node scripts/sanitize.mjs address|thread [tests]");
  process.exit(2);
}
await buildNative({ sanitize });
const compiler = process.env.CXX ?? "g++";
const library = execFileSync(compiler, [`-print-file-name=${libraries[sanitize]}`], { encoding: "utf8" }).trim();
const tests = given.length > 0 ? given : ["packages/tensor", "packages/cloze/src/inference"];
// Addresses that are drawn at random leave ThreadSanitizer no room; Linux can be asked not to.
const [command, ...before] = sanitize === "thread" ? ["setarch", "-R", process.execPath] : [process.execPath];
const { status } = spawnSync(command, [...before, join(root, "node_modules/vitest/vitest.mjs"), "run", ...tests], {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    LD_PRELOAD: library,
    CLOZE_NATIVE: join(root, "packages/tensor/native", `build-${sanitize}`, "cloze.node"),
    // What Node leaves behind when it ends is no leak of ours.
    ASAN_OPTIONS: "detect_leaks=0:abort_on_error=0:halt_on_error=1",
    TSAN_OPTIONS: `halt_on_error=0:exitcode=66:suppressions=${join(root, "scripts/thread-sanitizer.txt")}`,
  },
});
process.exit(status ?? 1);
