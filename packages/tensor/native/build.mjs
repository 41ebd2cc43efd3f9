// Builds the native module: every kernel file once per instruction set, then one shared library.
// Plain Node and a C++20 compiler; no node-gyp. Objects are rebuilt only where a source or a header is newer.
// With --package the module is also put into the package of this platform (npm/<platform>-<arch>). With --sanitize address or
// --sanitize thread it is built with that sanitizer, into build-<sanitizer>/ (scripts/sanitize.mjs runs the tests with it).
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const plainOutput = join(here, "build");
export const target = join(plainOutput, "cloze.node");

const avx2 = ["-mavx2", "-mfma", "-mf16c", "-mbmi2"];
const avx512 = [
  ...["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mprefer-vector-width=512"],
  ...avx2,
];
const isaFlags =
  process.arch === "x64"
    ? { baseline: [], avx2, avx512, amx: [...avx512, "-mamx-tile", "-mamx-int8", "-mamx-bf16"] }
    : { baseline: [] };
const common = [
  "-std=c++20",
  "-O3",
  "-fPIC",
  "-Wall",
  "-Wextra",
  "-fno-exceptions",
  "-ffp-contract=fast",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fvisibility=hidden",
  "-pthread",
];

const newest = (files) => Math.max(0, ...files.map((file) => statSync(file).mtimeMs));
const files = (folder, pattern) =>
  readdirSync(folder)
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name));

/** What a sanitizer asks of the compiler. */
const sanitized = (sanitizer) => [`-fsanitize=${sanitizer}`, "-fno-omit-frame-pointer", "-g", "-O1"];

/**
 * Compiles what is out of date and links. Returns true when something was built. Throws with the compiler's message.
 *
 * @param sanitize "address" or "thread": a module of its own, which runs where the sanitizer's library was loaded first
 */
export async function buildNative({ log = console.error, sanitize } = {}) {
  const output = sanitize === undefined ? plainOutput : join(here, `build-${sanitize}`);
  const target = join(output, "cloze.node");
  const extra = sanitize === undefined ? [] : sanitized(sanitize);
  const compiler = process.env.CXX ?? "g++";
  const headers = join(dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json")), "include");
  mkdirSync(output, { recursive: true });
  const newestHeader = newest([...files(here, /\.(h|mjs)$/), ...files(join(here, "kernels"), /\.(h|def)$/)]);
  const jobs = [];
  const objects = [];
  const add = (source, isa, flags) => {
    const object = join(output, `${basename(source, ".cpp")}${isa ? `.${isa}` : ""}.o`);
    objects.push(object);
    const stale = !existsSync(object) || statSync(object).mtimeMs < Math.max(newestHeader, statSync(source).mtimeMs);
    if (stale)
      jobs.push({
        name: `${basename(source)}${isa ? ` (${isa})` : ""}`,
        arguments: [...common, ...flags, ...extra, "-c", source, "-o", object],
      });
  };
  for (const [isa, flags] of Object.entries(isaFlags)) {
    for (const source of files(join(here, "kernels"), /\.cpp$/)) add(source, isa, [...flags, `-DCLOZE_ISA=${isa}`]);
    add(join(here, "table.cpp"), isa, [...flags, `-DCLOZE_ISA=${isa}`]);
  }
  for (const source of ["instruction-set.cpp", "memory.cpp", "thread-pool.cpp", "plan.cpp"])
    add(join(here, source), "", []);
  add(join(here, "binding.cpp"), "", [`-I${headers}`, "-DNODE_GYP_MODULE_NAME=cloze"]);

  if (jobs.length > 0) log(`Building the native kernels: ${jobs.length} files with ${compiler} …`);
  const failures = [];
  const next = async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) {
      try {
        const { stderr } = await run(compiler, job.arguments, { maxBuffer: 1 << 26 });
        if (stderr) log(stderr.trimEnd());
      } catch (error) {
        failures.push(`${job.name}:\n${error.stderr ?? error.message}`);
      }
    }
  };
  const linkNeeded =
    jobs.length > 0 || !existsSync(target) || statSync(target).mtimeMs < newest(objects.filter(existsSync));
  await Promise.all(Array.from({ length: Math.max(1, cpus().length) }, next));
  if (failures.length > 0) throw new Error(failures.join("\n"));
  if (!linkNeeded) return false;
  const temporary = `${target}.${process.pid}`;
  const undefinedSymbols = process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : [];
  await run(compiler, [
    "-shared",
    ...undefinedSymbols,
    // A sanitizer brings a runtime of its own, and names functions.
    ...(sanitize === undefined ? ["-static-libstdc++", "-static-libgcc", "-s"] : extra),
    "-pthread",
    "-o",
    temporary,
    ...objects,
  ]);
  // A rename keeps a process that has the old module mapped alive.
  const { renameSync } = await import("node:fs");
  renameSync(temporary, target);
  return true;
}

/** Builds, and puts the module into this platform's package, ready for `npm pack` and `npm publish`. Returns its path. */
export async function packageNative(options) {
  const platform = `${process.platform}-${process.arch}`;
  const folder = join(here, "..", "npm", platform);
  if (!existsSync(folder))
    throw new Error(`There is no package for ${platform}: write npm/${platform}/package.json first.`);
  await buildNative(options);
  const path = join(folder, "cloze.node");
  copyFileSync(target, path);
  return path;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const place = process.argv.indexOf("--sanitize");
    if (place >= 0) {
      const sanitize = process.argv[place + 1];
      if (!["address", "thread"].includes(sanitize)) throw new Error("--sanitize takes address or thread.");
      await buildNative({ sanitize });
      console.error(`Built ${join(here, `build-${sanitize}`, "cloze.node")}`);
    } else if (process.argv.includes("--package")) console.error(`Packaged ${await packageNative()}`);
    else console.error((await buildNative()) ? `Built ${target}` : "The native kernels are up to date.");
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
