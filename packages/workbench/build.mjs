// Makes the page that embeds texts: a folder of static files that any file server can hand out.
//   node packages/workbench/build.mjs [FOLDER]     default: packages/workbench/dist/embed
// index.html is pages/embed.html; cloze.js is cloze's browser entry with all it needs in one file; cloze-*.wasm the kernels.
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const here = dirname(fileURLToPath(import.meta.url));
const entry = join(here, "..", "cloze", "dist", "browser.js");
const modules = join(here, "..", "tensor", "wasm");

/** Builds the page into a folder. The packages must be compiled. Returns the names of its files. */
export async function buildPage(folder = join(here, "dist", "embed")) {
  if (!existsSync(entry)) throw new Error(`${entry} does not exist: run \`npm run build\` first.`);
  mkdirSync(folder, { recursive: true });
  const bundle = await rolldown({ input: entry, platform: "browser" });
  const { output } = await bundle.write({ file: join(folder, "cloze.js"), format: "esm", minify: true });
  await bundle.close();
  const outside = output.flatMap((chunk) => [...(chunk.imports ?? []), ...(chunk.dynamicImports ?? [])]);
  if (outside.length > 0) {
    throw new Error(
      `A browser cannot load ${outside.join(", ")}: something that cloze/src/browser.ts leads to imports it. Files are read ` +
        'through "files" and "paths" of @cloze/tensor there.',
    );
  }
  copyFileSync(join(here, "pages", "embed.html"), join(folder, "index.html"));
  for (const name of readdirSync(modules)) copyFileSync(join(modules, name), join(folder, name));
  return readdirSync(folder);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const folder = process.argv[2] === undefined ? undefined : resolve(process.argv[2]);
    const target = folder ?? join(here, "dist", "embed");
    for (const name of await buildPage(folder))
      console.error(`${join(target, name)}: ${(statSync(join(target, name)).size / 1024).toFixed(0)} KiB`);
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
