// A compiled model that follows its weights.
import type { Model } from "../families/model.js";
import { type CompiledModel, type CompileOptions, compile } from "../inference/compile.js";

/** A compiled model for each use; only the last one is kept. */
export interface FreshPlan {
  get(output: "mean" | "first" | "hidden"): CompiledModel;
  close(): void;
}

/** Plans are made again after weights were written, and where another output is asked for. */
export function freshPlan(model: Model, weights: CompileOptions["weights"]): FreshPlan {
  let compiled: CompiledModel | undefined;
  let made = "";
  return {
    get(output) {
      const versions = [...model.parameters.values()].map(({ storage }) => storage.version);
      const wanted = `${output} ${versions.join()}`;
      if (compiled === undefined || made !== wanted) {
        compiled?.close();
        compiled =
          output === "hidden"
            ? compile(model, { outputs: output, weights })
            : compile(model, { outputs: "pooled", pooling: output, weights });
        made = wanted;
      }
      return compiled;
    },
    close: () => compiled?.close(),
  };
}
