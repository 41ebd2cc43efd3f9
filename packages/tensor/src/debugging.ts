import { environmentVariable } from "./host.js";

/** Whether CLOZE_DEBUG is set, to anything but 0. Read once: nothing of it costs anything otherwise. */
export const debugging = !["", "0"].includes(environmentVariable("CLOZE_DEBUG") ?? "");
