// The direction of imports between the floors of docs/architecture.md: down only, type-only imports included.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Folders of packages/cloze/src, lowest floor first. A folder may import from lower floors and from its own. */
const floors = [
  ["errors.ts"],
  ["text", "data"],
  ["encoder"],
  ["heads", "objectives", "metrics"],
  ["families"],
  ["tasks"],
  ["training"],
  ["compression", "inference", "vision"],
  ["embedding", "retrieval"],
  ["generation"],
  ["serving"],
  ["demo", "parity", "recipes"],
  ["cli", "index.ts", "browser.ts"],
];

/** Folders of packages/tensor/src, and its own files by what they stand on: "ground", "." (the rest), "autograd". */
const tensorFloors = [
  ["ground"],
  ["backend"],
  ["."],
  ["ops", "io"],
  ["autograd"],
  ["optim", "plan"],
  ["testing"],
  ["index.ts"],
];
const tensorFiles: Record<string, string> = {
  "errors.ts": "ground",
  "debugging.ts": "ground",
  "host.ts": "ground",
  "files.ts": "ground",
  "dtype.ts": "ground",
  "counter-random.ts": "ground",
  "autograd.ts": "autograd",
  "hessian.ts": "autograd",
  "linear-cross-entropy.ts": "autograd",
  "index.ts": "index.ts",
};

interface Import {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly target: string;
}

function filesOf(folder: string, pattern: RegExp): string[] {
  // Folders of the plan that hold nothing yet are not in a clone.
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (["node_modules", "dist", "build"].includes(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesOf(path, pattern);
    return pattern.test(entry.name) ? [path] : [];
  });
}

/** Every import of a text: static, type-only, re-exported, dynamic, `require`, and `typeof import("…")`. */
function importsIn(file: string, text: string): Import[] {
  const pattern = /(?:\bfrom|\bimport|\brequire\(|\bimport\(|\bimport\s*\()\s*["'`]([^"'`$]+)["'`]/g;
  return text.split("\n").flatMap((line, index) => {
    if (/^\s*(\/\/|\*|\/\*)/.test(line)) return [];
    return [...line.matchAll(pattern)].map(([, target]) => ({
      file: relative(root, file),
      line: index + 1,
      text: line.trim(),
      target,
    }));
  });
}

const importsOf = (folder: string, pattern = /\.(ts|mts|mjs)$/): Import[] =>
  filesOf(join(root, folder), pattern).flatMap((file) => importsIn(file, readFileSync(file, "utf8")));

const isTest = ({ file }: Import): boolean => file.endsWith(".test.ts");
const print = ({ file, line, text }: Import, why: string): string => `${file}:${line}: ${text}   (${why})`;

/** The path inside a folder that a relative import means; undefined when it is not relative. */
function landing({ file, target }: Import, folder: string): string | undefined {
  if (!target.startsWith(".")) return undefined;
  const path = resolve(root, dirname(file), target.replace(/\.js$/, ".ts"));
  return relative(join(root, folder), path).split(sep).join("/");
}

interface FolderEdge {
  readonly from: string;
  readonly to: string;
  readonly found: Import;
}

/** Imports between folders of a source tree, by a function from path to folder. */
function edgesOf(folder: string, folderOf: (path: string) => string): FolderEdge[] {
  return importsOf(folder)
    .filter((found) => !isTest(found))
    .flatMap((found) => {
      const path = landing(found, folder);
      if (path === undefined) return [];
      const from = folderOf(relative(folder, found.file).split(sep).join("/"));
      const to = folderOf(path);
      return from === to ? [] : [{ from, to, found }];
    });
}

/** Imports that point up, or to a folder that no floor names. */
function upwards(edges: readonly FolderEdge[], order: readonly (readonly string[])[]): string[] {
  const floorOf = (name: string) => order.findIndex((floor) => floor.includes(name));
  return edges
    .filter(({ from, to }) => floorOf(from) < 0 || floorOf(to) < 0 || floorOf(to) > floorOf(from))
    .map(({ from, to, found }) => print(found, `${from} must not import ${to}`));
}

/** A way round a circle of folders, as the lines that make it; empty when there is none. */
function circle(edges: readonly FolderEdge[]): string[] {
  const done = new Set<string>();
  const visit = (folder: string, path: readonly FolderEdge[]): string[] => {
    const start = path.findIndex(({ from }) => from === folder);
    if (start >= 0) return path.slice(start).map(({ from, to, found }) => print(found, `${from} → ${to}`));
    if (done.has(folder)) return [];
    for (const edge of edges.filter(({ from }) => from === folder)) {
      const found = visit(edge.to, [...path, edge]);
      if (found.length > 0) return found;
    }
    done.add(folder);
    return [];
  };
  for (const { from } of edges) {
    const found = visit(from, []);
    if (found.length > 0) return found;
  }
  return [];
}

describe("cloze", () => {
  const folder = "packages/cloze/src";
  const folderOf = (path: string) => path.split("/")[0];
  const edges = edgesOf(folder, folderOf);

  test("every folder stands on a floor", () => {
    const folders = readdirSync(join(root, folder)).filter((name) => statSync(join(root, folder, name)).isDirectory());
    const known = new Set(floors.flat());
    expect(folders.filter((name) => !known.has(name) && name !== "test")).toEqual([]);
  });
  test("imports point down", () => expect(upwards(edges, floors)).toEqual([]));
  test("no circles between folders", () => expect(circle(edges)).toEqual([]));
  test("nobody imports the command line", () => {
    const offending = edges.filter(({ to }) => to === "cli").map(({ found }) => print(found, "cli is the top"));
    expect(offending).toEqual([]);
  });
  test("relative imports stay inside", () => {
    const outside = importsOf(folder).filter((found) => !isTest(found) && landing(found, folder)?.startsWith(".."));
    expect(outside.map((found) => print(found, "leaves packages/cloze/src"))).toEqual([]);
  });
  test("the engine is one name", () => {
    // But for its error, in the one file that hands it on: `cloze --help` loads no engine.
    const isError = ({ file, target }: Import) =>
      target === "@cloze/tensor/errors" && file.endsWith("packages/cloze/src/errors.ts");
    const inside = importsOf(folder).filter(
      (found) => !isError(found) && /tensor\/(src|dist|native)|^@cloze\/tensor./.test(found.target),
    );
    expect(inside.map((found) => print(found, 'only "@cloze/tensor"'))).toEqual([]);
  });
});

describe("tensor", () => {
  const folder = "packages/tensor/src";
  const folderOf = (path: string): string => {
    const [first, ...rest] = path.split("/");
    return rest.length > 0 ? first : (tensorFiles[first] ?? ".");
  };
  const edges = edgesOf(folder, folderOf);

  test("imports point down", () => expect(upwards(edges, tensorFloors)).toEqual([]));
  test("no circles between folders", () => expect(circle(edges)).toEqual([]));
  test("knows nothing of the toolkit", () => {
    const up = importsOf(folder).filter(
      (found) => /^(cloze|@cloze)\b/.test(found.target) || landing(found, folder)?.startsWith(".."),
    );
    expect(up.map((found) => print(found, "tensor stands below"))).toEqual([]);
  });
  test("the native part knows nothing of TypeScript", () => {
    const scripts = importsOf("packages/tensor/native").filter(({ target }) => /src|dist|cloze/.test(target));
    const includes = filesOf(join(root, "packages/tensor/native"), /\.(cpp|h|def)$/).flatMap((file) =>
      readFileSync(file, "utf8")
        .split("\n")
        .flatMap((text, index) =>
          /#\s*include\s*".*\b(src|dist)\//.test(text) ? [`${relative(root, file)}:${index + 1}: ${text}`] : [],
        ),
    );
    expect([...scripts.map((found) => print(found, "native stands alone")), ...includes]).toEqual([]);
  });
  test("binding.cpp alone knows Node-API", () => {
    const others = filesOf(join(root, "packages/tensor/native"), /\.(cpp|h)$/)
      .filter((file) => /node_api|napi_/.test(readFileSync(file, "utf8")))
      .map((file) => relative(root, file));
    expect(others).toEqual(["packages/tensor/native/binding.cpp"]);
  });
});

test("pages import no engine and no toolkit", () => {
  const up = importsOf("packages/workbench/src").filter(({ target }) => /^(cloze|@cloze\/tensor)\b/.test(target));
  expect(up.map((found) => print(found, "the workbench stands alone"))).toEqual([]);
});

test("bench and recipes import packages by their names", () => {
  const inside = ["bench", "recipes"]
    .flatMap((folder) => importsOf(folder, /\.ts$/))
    .filter(({ target }) => /packages\/|^@?cloze(\/tensor)?\/(src|dist)/.test(target));
  expect(inside.map((found) => print(found, 'only "cloze", "@cloze/tensor"'))).toEqual([]);
});

describe("this test itself", () => {
  const edge = (from: string, to: string): FolderEdge => ({
    from,
    to,
    found: { file: `${from}/a.ts`, line: 1, text: `import "../${to}/b.js";`, target: `../${to}/b.js` },
  });
  test("finds imports of every form", () => {
    const text = [
      'import type { A } from "./a.js";',
      'export * from "./b.js";',
      'import "./c.js";',
      'const d = await import("./d.js");',
      'type E = typeof import("./e.js");',
      "} from './f.js';",
      '// import { no } from "./no.js";',
      ' * import { no } from "./no.js";',
    ].join("\n");
    expect(importsIn(join(root, "x.ts"), text).map(({ target }) => target)).toEqual(
      ["a", "b", "c", "d", "e", "f"].map((name) => `./${name}.js`),
    );
  });
  test("finds what points up, and what no floor names", () => {
    expect(upwards([edge("encoder", "training")], floors)).toHaveLength(1);
    expect(upwards([edge("training", "encoder")], floors)).toEqual([]);
    expect(upwards([edge("training", "elsewhere")], floors)[0]).toContain(
      'training/a.ts:1: import "../elsewhere/b.js"',
    );
  });
  test("finds circles", () => {
    expect(circle([edge("a", "b"), edge("b", "c"), edge("c", "b")])).toHaveLength(2);
    expect(circle([edge("a", "b"), edge("b", "c"), edge("a", "c")])).toEqual([]);
  });
});
