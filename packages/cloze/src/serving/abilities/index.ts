// Abilities by name: one line for each.
import type { LoadedModel } from "../loaded-model.js";
import { denseAbility } from "./dense.js";
import { lateInteractionAbility } from "./late-interaction.js";
import { maskAbility } from "./masked-tokens.js";
import { sparseAbility } from "./sparse.js";
import { taskAbility } from "./task.js";
import { tokenVectorsAbility } from "./token-vectors.js";

const makers = {
  dense: denseAbility,
  tokenVectors: tokenVectorsAbility,
  sparse: sparseAbility,
  lateInteraction: lateInteractionAbility,
  mask: maskAbility,
  task: taskAbility,
};

/** What a model can be asked for; what it cannot is absent. */
export type Abilities = { readonly [Name in keyof typeof makers]?: NonNullable<ReturnType<(typeof makers)[Name]>> };

/** The abilities of a model. */
export const abilitiesOf = (loaded: LoadedModel): Abilities =>
  Object.fromEntries(
    Object.entries(makers).flatMap(([name, make]) => {
      const ability = make(loaded);
      return ability === undefined ? [] : [[name, ability]];
    }),
  );
