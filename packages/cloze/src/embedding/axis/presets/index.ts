// Axes that come with Cloze, by name. A new one is a file and a line here.
import { ClozeError } from "../../../errors.js";
import type { FitDirectionOptions } from "../fit-direction.js";
import { moral } from "./moral.js";
import type { AxisPreset } from "./preset.js";

export const axisPresets: readonly AxisPreset[] = [moral];

/** @throws AXIS_UNKNOWN */
export function axisPreset(name: string): AxisPreset {
  const found = axisPresets.find((preset) => preset.name === name);
  if (found !== undefined) return found;
  throw new ClozeError("AXIS_UNKNOWN", `There is no axis of the name "${name}"`, {
    expected: axisPresets.map((preset) => preset.name).join(", "),
    remedy: "Give phrases of your own with --phrases.",
  });
}

/** What `fitDirection` takes of a preset. */
export const fitOptionsOf = ({
  phrases,
  templates,
  components,
  orientBy,
  normaliseTo,
}: AxisPreset): FitDirectionOptions => ({
  phrases,
  templates: templates.map(({ question }) => question),
  components,
  orientBy,
  normaliseTo,
});

/** The moral direction, as `fitDirection` takes it. */
export const moralDirection: FitDirectionOptions = fitOptionsOf(moral);

export { moral, moralTemplates } from "./moral.js";
export type { AxisPreset } from "./preset.js";
