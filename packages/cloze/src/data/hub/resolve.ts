import { existsSync } from "node:fs";
import { ClozeError } from "../../errors.js";
import { cachedSnapshot, missingFromSnapshot } from "./cache.js";
import { readHubId } from "./hub-id.js";
import { type HubOptions, hubSettings } from "./settings.js";

/**
 * The folder of a model: a path that exists is itself; "org/name", "name" or "org/name@revision" is looked up in the
 * Hugging Face cache. Never uses the network: `pullModel` does.
 *
 * @throws MODEL_NOT_FOUND when there is neither, or when the cache holds only a part of the model
 * @example
 * const model = loadModel(resolveModelFolder("google-bert/bert-base-uncased"));
 */
export function resolveModelFolder(
  idOrFolder: string,
  options: Pick<HubOptions, "cacheFolder"> = {},
  environment: NodeJS.ProcessEnv = process.env,
): string {
  if (existsSync(idOrFolder)) return idOrFolder;
  const id = readHubId(idOrFolder);
  if (id === undefined) {
    throw new ClozeError("MODEL_NOT_FOUND", `There is no folder ${idOrFolder}`, {
      expected: "a model folder, or an id of the hub such as org/name",
    });
  }
  const { cacheFolder } = hubSettings(options, environment);
  const folder = cachedSnapshot(cacheFolder, id);
  const missing = folder === undefined ? undefined : missingFromSnapshot(folder);
  if (folder !== undefined && missing === undefined) return folder;
  throw new ClozeError(
    "MODEL_NOT_FOUND",
    missing === undefined
      ? `There is no folder ${idOrFolder}, and no model of this name in ${cacheFolder}`
      : `The cache holds only a part of ${idOrFolder}: ${missing} is missing in ${folder}`,
    { remedy: `Check the path, or get the model from the hub: cloze pull ${idOrFolder}` },
  );
}
