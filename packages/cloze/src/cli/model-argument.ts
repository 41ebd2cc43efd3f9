import { existsSync, statSync } from "node:fs";
import { ClozeError } from "../errors.js";
import type { CommonOptions } from "./output.js";

/** How commands describe an option that `modelFolder` reads. */
export const modelArgument = "<folder|id>";

/**
 * The folder that a command's model argument means: a path, or an id of the hub. A model of the cache is taken as it is
 * (cloze pull brings it up to date); one that is not there is downloaded, as transformers does, unless HF_HUB_OFFLINE is
 * set. Only ids with a slash are: a single word is more likely a mistyped folder.
 *
 * @throws MODEL_NOT_FOUND, and what pullModel throws
 */
export async function modelFolder(idOrFolder: string, options: CommonOptions): Promise<string> {
  // Most are folders: then the hub is not asked for at all.
  if (existsSync(idOrFolder)) return idOrFolder;
  const { hubSettings, pullModel, readHubId, resolveModelFolder } = await import("../data/hub/index.js");
  try {
    return resolveModelFolder(idOrFolder);
  } catch (error) {
    const id = readHubId(idOrFolder);
    if (!(error instanceof ClozeError) || !id?.name.includes("/") || hubSettings().offline) throw error;
  }
  const { byteProgress } = await import("./byte-progress.js");
  const progress = byteProgress(`pull ${idOrFolder}`, options);
  try {
    return await pullModel(idOrFolder, { progress: progress.update });
  } catch (error) {
    if (!(error instanceof ClozeError) || (error.code !== "HUB_NOT_FOUND" && error.code !== "HUB_NETWORK")) throw error;
    // Perhaps a folder was meant.
    throw new ClozeError(error.code, `There is no folder ${idOrFolder}. ${error.message}`, { cause: error });
  } finally {
    progress.done();
  }
}

/** The same for a tokenizer, which may also be a file. */
export const tokenizerPath = async (idOrPath: string, options: CommonOptions): Promise<string> =>
  existsSync(idOrPath) && statSync(idOrPath).isFile() ? idOrPath : modelFolder(idOrPath, options);
