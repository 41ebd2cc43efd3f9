// A model that is served: what it can do, and what it says about itself.
import type { Embedder } from "../embedding/embedder.js";
import type { CompileOptions } from "../inference/compile.js";
import { atOnce } from "../text/index.js";
import { type Abilities, abilitiesOf } from "./abilities/index.js";
import { readText, roleNames, type TextInput } from "./abilities/read-text.js";
import { type LoadedModel, loadServedFolder } from "./loaded-model.js";
import type { Scheduler } from "./scheduler.js";

export interface ServedModel extends Omit<LoadedModel, "compiled"> {
  readonly abilities: Abilities;
  /** When it was loaded, in seconds since 1970. */
  readonly created: number;
  /** The folder or hub id that was asked for. */
  readonly source: string;
  /** How its matrices are multiplied. */
  readonly dtype: string;
  /** Bytes of its weights. */
  readonly bytes: number;
  /** Runs one short text, so that the first request finds everything in place. */
  warmUp(scheduler: Scheduler): Promise<void>;
}

/**
 * Loads a model to serve.
 *
 * @param options.name default: the last part of the folder's path
 * @param options.source what it is called in /info; default the folder
 * @throws what `loadServedFolder` throws
 */
export async function openServedModel(
  folder: string,
  options: { name?: string; source?: string } & Pick<CompileOptions, "weights"> = {},
): Promise<ServedModel> {
  const loaded = await loadServedFolder(folder, options);
  const abilities = abilitiesOf(loaded);
  const routes = loaded.embedder?.routes;
  const { parameters } = routes === undefined ? loaded.model : (loaded.embedder as Embedder);
  return {
    ...loaded,
    abilities,
    source: options.source ?? folder,
    dtype: options.weights ?? "float32",
    created: Math.floor(Date.now() / 1000),
    bytes: [...parameters.values()].reduce((sum, { size }) => sum + 4 * size, 0),
    async warmUp(scheduler) {
      // Any token there is: a vocabulary need not be able to write a given text.
      const ids = Array.from(loaded.tokenizer.specialIds).slice(0, 2);
      const roles = routes === undefined ? [undefined] : roleNames.filter((role) => routes.chosen[role] !== undefined);
      const units = roles.map((role) =>
        atOnce(readText(loaded, ids.length > 0 ? ids : [0], { role, truncate: true, direction: "right" })),
      );
      const program =
        abilities.dense?.program ??
        abilities.task?.program ??
        abilities.sparse?.program ??
        abilities.lateInteraction?.program;
      if (program !== undefined) await scheduler.submit<TextInput, unknown>(program, units);
    },
  };
}
