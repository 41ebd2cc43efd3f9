// Results beside their recipes, with what one must know to get them again.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { backend, writeFileAtomic } from "@cloze/tensor";
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import type { RecipeResult } from "./run-recipe.js";

const numbers = z.looseObject({
  mean: z.number().nullable(),
  deviation: z.number().nullable(),
  values: z.array(z.number().nullable()),
});

const schema = z.looseObject({
  paper: z.string(),
  title: z.string(),
  scale: z.enum(["quick", "default", "full"]),
  seeds: z.array(z.int()),
  rows: z.array(
    z.looseObject({
      claim: z.string(),
      paper: z.string(),
      ours: numbers,
      bound: z.string(),
      held: z.boolean(),
      digits: z.int(),
    }),
  ),
  held: z.boolean(),
  report: z.record(z.string(), numbers),
  seconds: z.array(z.number()),
  machine: z.string(),
  commit: z.string(),
  date: z.string(),
});

/** A result as its file has it. */
export type StoredResult = z.output<typeof schema>;

const resultPath = (folder: string): string => join(folder, "result.json");

/** The machine in words: processor, cores, instruction set, Node. */
export function machineWords(): string {
  const model = (cpus()[0]?.model ?? process.arch).replace(/\s+/g, " ").trim();
  return `${model}, ${availableParallelism()} cores, ${backend().isa}, Node ${process.version}`;
}

/** The commit of a checkout, with "+" where files differ from it; "unknown" outside of one. */
export function commitOf(folder: string): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    // Results of earlier runs are no change of what is run.
    const changed = git("status", "--porcelain", "--", ".", ":(exclude,glob)**/result.json", ":(exclude,glob)**/*.svg");
    return `${git("rev-parse", "--short=12", "HEAD")}${changed === "" ? "" : "+"}`;
  } catch {
    return "unknown";
  }
}

/** The result of a recipe's last run; undefined where there is none. @throws RECIPE_RESULT when the file is damaged */
export function readResult(folder: string): StoredResult | undefined {
  const path = resultPath(folder);
  if (!existsSync(path)) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    json = "no JSON";
  }
  return parseConfig(schema, json, path, "RECIPE_RESULT");
}

/** Writes a result and its pictures beside the recipe. */
export function writeResult(
  folder: string,
  result: RecipeResult,
  pictures: readonly string[],
  root: string,
): StoredResult {
  const stored = {
    ...result,
    machine: machineWords(),
    commit: commitOf(root),
    date: new Date().toISOString(),
  };
  writeFileAtomic(resultPath(folder), `${JSON.stringify(stored, null, 2)}\n`);
  pictures.forEach((svg, i) => {
    writeFileAtomic(join(folder, i === 0 ? "result.svg" : `result-${i + 1}.svg`), svg);
  });
  return parseConfig(schema, JSON.parse(JSON.stringify(stored)), resultPath(folder), "RECIPE_RESULT");
}
