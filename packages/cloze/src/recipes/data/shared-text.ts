// Texts and models from the folder beside the checkout.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { ClozeError } from "../../errors.js";
import { checkout } from "../find.js";

const notHere = (name: string, what: string): ClozeError =>
  new ClozeError("RECIPE_DATA", `../shared/data/${name} is not here`, {
    remedy: `This recipe is about real ${what}; put the data folder beside the repository.`,
  });

/** Whether ../shared/data has a file or folder. */
export const isShared = (name: string): boolean => existsSync(join(checkout(), "..", "shared", "data", name));

/** A file or folder of ../shared/data. @throws RECIPE_DATA when it is not there */
export function sharedPath(name: string): string {
  const path = join(checkout(), "..", "shared", "data", name);
  if (existsSync(path)) return path;
  throw notHere(name, "texts");
}

/** A file of ../shared/data, plain or gzipped; undefined where it is not there. */
export function sharedText(name: string): string | undefined {
  const path = [name, `${name}.gz`].map((one) => join(checkout(), "..", "shared", "data", one)).find(existsSync);
  if (path === undefined) return undefined;
  const bytes = readFileSync(path);
  return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
}

/** The same where there is nothing to take instead. @param what the recipe is about, for the error. @throws RECIPE_DATA */
export function requiredText(name: string, what = "texts"): string {
  const text = sharedText(name);
  if (text === undefined) throw notHere(name, what);
  return text;
}

/** A model of ../shared/models; undefined where it is not there. */
export function sharedModel(name: string): string | undefined {
  const path = join(checkout(), "..", "shared", "models", name);
  return existsSync(path) ? path : undefined;
}
