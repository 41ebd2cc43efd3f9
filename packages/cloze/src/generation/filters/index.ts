// What may strike out tokens before one is drawn, by type. A new one is a file and a line here.
import { parseConfig } from "../../encoder/registry.js";
import { ClozeError } from "../../errors.js";
import { axisFilter } from "./axis-filter.js";
import type { TokenFilter, TokenFilterKind } from "./filter.js";

export const tokenFilters: readonly TokenFilterKind[] = [axisFilter];

/** `{ type: "axis-filter", axis: "moral.json", threshold: 0, keepMin: 5 }` */
export interface TokenFilterConfig {
  readonly type: string;
  readonly [option: string]: unknown;
}

/**
 * Makes a filter ready, and loads what it needs; `dispose` lets go of it.
 *
 * @throws FILTER_UNKNOWN, FILTER_OPTIONS, and what the filter throws when it loads
 * @example
 * const filter = createFilter({ type: "axis-filter", axis: "mine/moral.json", threshold: 0, keepMin: 5 });
 */
export function createFilter({ type, ...options }: TokenFilterConfig): TokenFilter {
  const kind = tokenFilters.find((one) => one.type === type);
  if (kind !== undefined)
    return kind.create(parseConfig(kind.options, options, `The options of ${type}`, "FILTER_OPTIONS"));
  throw new ClozeError("FILTER_UNKNOWN", `There is no filter of the type "${type}"`, {
    expected: tokenFilters.map((one) => one.type).join(", "),
  });
}

export type { GenerationState, TokenFilter, TokenFilterKind } from "./filter.js";
