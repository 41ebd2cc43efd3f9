// Brings the checkout up to date: dependencies, native kernels, TypeScript. Fast when nothing changed; prints to standard
// error only, so that commands can keep standard output for their results.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamp = join(root, "node_modules", ".cache", "cloze-build.json");

const run = (command, args) => {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (result.error) throw result.error;
  return result.status ?? 1;
};

function newest(folder, pattern) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (["node_modules", "dist", "build"].includes(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) latest = Math.max(latest, newest(path, pattern));
    else if (pattern.test(entry.name)) latest = Math.max(latest, statSync(path).mtimeMs);
  }
  return latest;
}

function install() {
  const installed = join(root, "node_modules", ".package-lock.json");
  const lock = join(root, "package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.error("Installing dependencies …");
  if (run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]) !== 0) {
    throw new Error("npm ci failed: see the lines above.");
  }
}

async function native() {
  const { buildNative } = await import("../packages/tensor/native/build.mjs");
  try {
    await buildNative();
  } catch (error) {
    console.error(`The native kernels were not built: ${error.message}`);
    console.error(
      "Cloze runs on WebAssembly instead, more slowly. Install a C++20 compiler (g++ 11 or clang 14) to fix this.",
    );
  }
}

/** Installs and builds what is missing or out of date. Throws with a message when that fails. */
export async function build() {
  install();
  await native();
  // The compiler is asked only when a source is newer than the last good build.
  const latest = Math.max(
    newest(join(root, "packages"), /\.(ts|json|html)$/),
    newest(join(root, "bench"), /\.(ts|json)$/),
    newest(join(root, "recipes"), /\.ts$|tsconfig\.json$/),
    statSync(join(root, "tsconfig.base.json")).mtimeMs,
  );
  const built = existsSync(stamp) ? JSON.parse(readFileSync(stamp, "utf8")).latest : 0;
  if (built === latest && existsSync(join(root, "packages", "cloze", "dist", "index.js"))) return;
  console.error("Compiling TypeScript …");
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  if (run(process.execPath, [tsc, "-b"]) !== 0) throw new Error("TypeScript did not compile: see the lines above.");
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, JSON.stringify({ latest }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await build();
    const commit = existsSync(join(root, ".git"))
      ? execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root }).toString().trim()
      : "";
    console.error(`Built${commit ? ` ${commit}` : ""}.`);
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
