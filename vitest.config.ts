import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: {
      "@cloze/tensor/errors": source("packages/tensor/src/errors.ts"),
      "@cloze/tensor": source("packages/tensor/src/index.ts"),
      "@cloze/workbench": source("packages/workbench/src/index.ts"),
      "cloze/recipes": source("packages/cloze/src/recipes/index.ts"),
      cloze: source("packages/cloze/src/index.ts"),
    },
  },
  test: {
    include: ["packages/*/src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts", "recipes/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
