// Builds the WebAssembly modules, with and without relaxed SIMD, from the kernel sources of the native module. The results
// are checked in, so the compiler is pinned: the same version gives the same bytes.
//   node packages/tensor/native/wasm/build.mjs           builds into packages/tensor/wasm
//   node packages/tensor/native/wasm/build.mjs --check   builds elsewhere and exits with 1 where the results differ
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const native = join(dirname(fileURLToPath(import.meta.url)), "..");
const checkedIn = join(native, "..", "wasm");

/** Debian 12 has it: apt-get install clang-19 lld-19. */
const version = "19.1.7";
const compiler = process.env.CLOZE_WASM_CXX ?? "clang++-19";
const linker = process.env.CLOZE_WASM_LD ?? "wasm-ld-19";

const isaFlags = {
  simd: ["-msimd128"],
  relaxed: ["-msimd128", "-mrelaxed-simd"],
};
const common = [
  "--target=wasm32-unknown-unknown",
  "-std=c++20",
  "-O2", // as fast as -O3 here, and an eighth smaller
  "-Wall",
  "-Wextra",
  "-nostdinc++",
  "-Iwasm/include",
  "-ffreestanding",
  "-fno-exceptions",
  "-fno-rtti",
  "-fno-threadsafe-statics",
  "-ffp-contract=fast",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fvisibility=hidden",
  "-matomics",
  "-mbulk-memory",
  "-mnontrapping-fptoint",
  "-mmutable-globals",
  "-ftls-model=local-exec",
];
const linking = [
  "--no-entry",
  "--import-memory",
  "--shared-memory",
  "--export-table",
  "--export=__stack_pointer",
  "--export=__wasm_init_tls",
  "--export=__tls_size",
  "--stack-first",
  "-z",
  "stack-size=1048576",
  "--max-memory=4294967296",
  "--gc-sections",
  "--strip-all",
  "-O2",
];

function requireVersion(program) {
  let found;
  try {
    found = execFileSync(program, ["--version"], { encoding: "utf8" });
  } catch {
    throw new Error(`${program} is not installed. On Debian: apt-get install --no-install-recommends clang-19 lld-19`);
  }
  if (!found.includes(version)) {
    throw new Error(`${program} is not version ${version}, which the checked-in modules were built with:\n${found}`);
  }
}

const others = [
  "table.cpp",
  "plan.cpp",
  ...["binding", "functions", "memory", "thread-pool"].map((name) => `wasm/${name}.cpp`),
];

/** Builds all modules into a folder. Throws with the compiler's message. */
export async function buildWasm(folder = checkedIn) {
  requireVersion(compiler);
  requireVersion(linker);
  const objects = mkdtempSync(join(tmpdir(), "cloze-wasm-"));
  try {
    mkdirSync(folder, { recursive: true });
    const kernels = readdirSync(join(native, "kernels"))
      .filter((name) => name.endsWith(".cpp"))
      .sort()
      .map((name) => `kernels/${name}`);
    const jobs = [];
    const links = [];
    const compile = (source, suffix, flags) => {
      const object = join(objects, `${basename(source, ".cpp")}.${suffix}.o`);
      // Paths are relative to native/, so that the result does not depend on where the repository lies.
      jobs.push(() => run(compiler, [...common, ...flags, "-c", source, "-o", object], { cwd: native }));
      return object;
    };
    for (const [isa, flags] of Object.entries(isaFlags)) {
      const parts = [...kernels, ...others].map((source) =>
        // The plan's declarations are the baseline's, as in the native build.
        compile(source, isa, source === "plan.cpp" ? flags : [...flags, `-DCLOZE_ISA=${isa}`]),
      );
      links.push(() => run(linker, [...linking, ...parts, "-o", join(folder, `cloze-${isa}.wasm`)]));
    }
    const all = async (list) => {
      const next = async () => {
        for (let job = list.shift(); job; job = list.shift()) {
          const { stderr } = await job();
          if (stderr) console.error(stderr.trimEnd());
        }
      };
      await Promise.all(Array.from({ length: availableParallelism() }, next));
    };
    await all(jobs);
    await all(links);
  } finally {
    rmSync(objects, { recursive: true, force: true });
  }
}

async function check() {
  const folder = mkdtempSync(join(tmpdir(), "cloze-wasm-check-"));
  try {
    await buildWasm(folder);
    const different = readdirSync(folder).filter(
      (name) =>
        !existsSync(join(checkedIn, name)) ||
        !readFileSync(join(folder, name)).equals(readFileSync(join(checkedIn, name))),
    );
    if (different.length > 0) {
      throw new Error(`Not what the sources give: ${different.join(", ")}. Run: npm run build:wasm`);
    }
    console.error("The WebAssembly modules are what the sources give.");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    if (process.argv.includes("--check")) await check();
    else {
      await buildWasm();
      for (const name of readdirSync(checkedIn))
        console.error(`${name}: ${(readFileSync(join(checkedIn, name)).length / 1024).toFixed(0)} KiB`);
    }
  } catch (error) {
    console.error(error.stderr || error.message);
    process.exit(1);
  }
}
