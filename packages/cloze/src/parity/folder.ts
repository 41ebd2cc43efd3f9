// Finds what a folder holds and compares it.
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ClozeError } from "../errors.js";
import { type Check, failure } from "./check.js";
import { checkMetrics } from "./metrics.js";
import { checkModels } from "./models.js";
import { checkTraining } from "./training.js";

interface TokenizerCheck {
  readonly case: string;
  readonly ok: boolean;
  readonly difference: string;
}
interface TokenizerModule {
  checkTokenizerFolder(folder: string): readonly TokenizerCheck[];
}

async function checkTokenizer(folder: string, name: string): Promise<Check[]> {
  const path = fileURLToPath(new URL("../text/parity.js", import.meta.url));
  if (!existsSync(path)) return [failure(name, new Error("this build has no tokenizer comparison"))];
  try {
    const { checkTokenizerFolder } = (await import(
      new URL("../text/parity.js", import.meta.url).href
    )) as TokenizerModule;
    return checkTokenizerFolder(folder).map(({ case: what, ok, difference }) => ({
      case: `${name} ${what}`,
      ok,
      note: difference,
    }));
  } catch (error) {
    return [failure(name, error)];
  }
}

/** How a folder is recognised, and what compares it. */
const kinds: readonly { holds: readonly string[]; check(folder: string, name: string): Check[] | Promise<Check[]> }[] =
  [
    { holds: ["cases.json"], check: checkModels },
    { holds: ["run.json", "batches.safetensors"], check: checkTraining },
    { holds: ["tokenizer.json", "cases.jsonl"], check: checkTokenizer },
    { holds: ["corpus.txt"], check: checkTokenizer },
  ];

/**
 * Compares everything below a folder laid out like the parity folder, or like one of its parts.
 *
 * @param onCheck called with each line as it is known
 * @throws PARITY_FOLDER when there is nothing to compare
 */
export async function checkFolder(folder: string, onCheck: (check: Check) => void): Promise<Check[]> {
  const root = resolve(folder);
  if (!existsSync(root) || !statSync(root).isDirectory()) {
    throw new ClozeError("PARITY_FOLDER", `${folder} is no folder`, { remedy: "Give a folder laid out like parity/." });
  }
  const checks: Check[] = [];
  const report = (found: readonly Check[]): void => {
    for (const check of found) {
      checks.push(check);
      onCheck(check);
    }
  };
  const visit = async (at: string, name: string, depth: number): Promise<void> => {
    // Stands beside folders of other parts, so that the search goes on below it.
    if (existsSync(join(at, "metrics.json"))) report(checkMetrics(at, name === "" ? "metrics" : `${name}/metrics`));
    const kind = kinds.find(({ holds }) => holds.every((file) => existsSync(join(at, file))));
    if (kind !== undefined) {
      report(await kind.check(at, name));
      return;
    }
    if (depth === 0) return;
    const folders = readdirSync(at, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const { name: child } of folders.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      await visit(join(at, child), name === "" ? child : `${name}/${child}`, depth - 1);
    }
  };
  // A single case is named by its folder, a collection by what is in it.
  const single = kinds.some(({ holds }) => holds.every((file) => existsSync(join(root, file))));
  const part = ["models", "training", "tokenizers"].includes(basename(root)) ? basename(root) : "";
  await visit(root, single ? basename(root) : part, 3);
  if (checks.length === 0) {
    throw new ClozeError("PARITY_FOLDER", `${folder} holds nothing to compare`, {
      expected: "models/<type>/cases.json, training/<run>/run.json, tokenizers/<name>/cases.jsonl or metrics.json",
    });
  }
  return checks;
}
