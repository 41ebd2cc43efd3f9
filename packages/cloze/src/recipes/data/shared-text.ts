// Texts from the data beside the checkout.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { checkout } from "../find.js";

/** A file of ../shared/data, plain or gzipped; undefined where it is not there. */
export function sharedText(name: string): string | undefined {
  const path = [name, `${name}.gz`].map((one) => join(checkout(), "..", "shared", "data", one)).find(existsSync);
  if (path === undefined) return undefined;
  const bytes = readFileSync(path);
  return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
}
