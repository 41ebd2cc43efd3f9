// The packages as npm would publish them: packed, unpacked outside the repository, and run there.
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cloze-package-"));
const modules = join(folder, "node_modules");
const platform = `${process.platform}-${process.arch}`;
const platformPackage = `@cloze/tensor-${platform}`;
const sources: Record<string, string> = {
  cloze: "packages/cloze",
  "@cloze/tensor": "packages/tensor",
  "@cloze/workbench": "packages/workbench",
  [platformPackage]: `packages/tensor/npm/${platform}`,
};
const manifest = (name: string) => JSON.parse(readFileSync(join(root, sources[name], "package.json"), "utf8"));

const native =
  existsSync(join(root, sources[platformPackage])) && existsSync(join(root, "packages/tensor/native/build"));

/** Packs a package and unpacks it where an installation would have it. */
function install(name: string): void {
  const tarball = execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], {
    cwd: join(root, sources[name]),
    encoding: "utf8",
  });
  const target = join(modules, name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  execFileSync("tar", ["xzf", join(folder, tarball.trim()), "-C", target, "--strip-components=1"]);
}

/** Runs a module in the installation, with nothing of the repository in sight. */
function run(code: string, environment: Record<string, string> = {}) {
  writeFileSync(join(folder, "main.mjs"), code);
  const { CLOZE_ISA: _, CLOZE_DEBUG: __, ...rest } = process.env;
  return spawnSync(process.execPath, ["main.mjs"], { cwd: folder, encoding: "utf8", env: { ...rest, ...environment } });
}

const which = `import { backend, tensor } from "@cloze/tensor";
tensor([1]).dispose();
backend();
console.log(backend().name);`;

beforeAll(() => {
  execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: ["ignore", "ignore", "pipe"] });
  if (native)
    execFileSync(process.execPath, [join(root, "packages/tensor/native/build.mjs"), "--package"], { stdio: "pipe" });
  for (const name of Object.keys(sources)) if (name !== platformPackage || native) install(name);
  // Other people's packages are the repository's own copies.
  for (const name of Object.keys(manifest("cloze").dependencies)) {
    if (sources[name] !== undefined) continue;
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(modules, name), "dir");
  }
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!native)("the platform package", () => {
  test("is found, and is silent", () => {
    expect(existsSync(join(modules, "@cloze/tensor/native"))).toBe(false);
    expect(run(which)).toMatchObject({ status: 0, stdout: "native\n", stderr: "" });
  });

  test("holds the module and nothing else, for one platform, without scripts", () => {
    expect(readdirSync(join(modules, platformPackage)).sort()).toEqual(["cloze.node", "package.json"]);
    const { os, cpu, scripts } = manifest(platformPackage);
    expect({ os, cpu, scripts }).toEqual({ os: [process.platform], cpu: [process.arch], scripts: undefined });
  });

  test("a module that does not load gives the reason", () => {
    writeFileSync(join(modules, platformPackage, "cloze.node"), "no module");
    const { status, stdout, stderr } = run(which);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "wasm\n" });
    expect(stderr).toContain("CLOZE_SLOW_BACKEND");
    expect(stderr).toContain("cloze.node: ");
    install(platformPackage);
  });
});

test("without a module WebAssembly runs, without that the plain backend, and one warning says so", () => {
  rmSync(join(modules, platformPackage), { recursive: true, force: true });
  for (const expected of ["wasm", "reference"]) {
    const { status, stdout, stderr } = run(which);
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${expected}\n` });
    expect(stderr.match(/CLOZE_SLOW_BACKEND/g)).toHaveLength(1);
    expect(stderr).toContain("No native module fits this machine");
    expect(stderr).toContain(
      expected === "wasm" ? "the WebAssembly backend runs" : "the plain TypeScript backend runs",
    );
    // Who asks for a backend needs no warning.
    expect(run(which, { CLOZE_ISA: expected })).toMatchObject({ stdout: `${expected}\n`, stderr: "" });
    rmSync(join(modules, "@cloze/tensor/wasm"), { recursive: true, force: true });
  }
  expect(run(which, { CLOZE_ISA: "wasm" }).stderr).toContain("ISA_NOT_SUPPORTED");
  install("@cloze/tensor");
  if (native) install(platformPackage);
});

test("the toolkit and its command run from their packages", () => {
  const command = spawnSync(process.execPath, [join(modules, "cloze", manifest("cloze").bin.cloze), "info", "--json"], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(JSON.parse(command.stdout)).toMatchObject({ backend: native ? "native" : "wasm" });
  const { status, stdout, stderr } = run(`import { createEncoder, packSequences, uniformEncoder } from "cloze";
import { defineRecipe } from "cloze/recipes";
import { apiPage, searchPage } from "@cloze/workbench";
const encoder = createEncoder(uniformEncoder({ vocabularySize: 20, hiddenSize: 8, layers: 1, heads: 2 }), { seed: 1 });
console.log(encoder.forward(packSequences([{ ids: [1, 2] }])).hidden.shape.join(), [searchPage(), apiPage()].every((page) => page.includes("<html")), typeof defineRecipe);`);
  expect(stderr).toBe(native ? "" : stderr);
  expect({ status, stdout }).toEqual({ status: 0, stdout: "2,8 true function\n" });
});

describe("what the manifests promise", () => {
  const names = Object.keys(sources).filter((name) => existsSync(join(root, sources[name])));

  test("packages depend on each other in the versions that they have", () => {
    for (const name of names) {
      const { dependencies = {}, optionalDependencies = {} } = manifest(name);
      for (const [other, version] of Object.entries({ ...dependencies, ...optionalDependencies })) {
        if (names.includes(other)) expect(version, `${name} → ${other}`).toBe(manifest(other).version);
      }
    }
  });

  test("nothing runs when they are installed", () => {
    for (const name of names) {
      const { scripts = {} } = manifest(name);
      const atInstall = Object.keys(scripts).filter((script) => /^(pre|post)?install$|^prepare$/.test(script));
      expect(atInstall, name).toEqual([]);
    }
  });

  test("what runs without a compiler, what threads load and the pages are packed", () => {
    for (const file of [
      "@cloze/tensor/wasm/cloze-simd.wasm",
      "@cloze/tensor/wasm/cloze-relaxed.wasm",
      "cloze/dist/data/corpus/tokenize-worker.js",
      "cloze/README.md",
      "@cloze/workbench/pages/search.html",
      "@cloze/workbench/pages/api.html",
    ]) {
      expect(existsSync(join(modules, file)), file).toBe(true);
    }
  });

  test("no test and no source is packed", () => {
    for (const name of Object.keys(sources)) {
      if (!existsSync(join(modules, name))) continue;
      const files = readdirSync(join(modules, name), { recursive: true, encoding: "utf8" });
      expect(
        files.filter((file) => /\.test\.|^src\b/.test(file)),
        name,
      ).toEqual([]);
    }
  });
});
