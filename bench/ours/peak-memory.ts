// The peak of this process's resident memory, of its life or from a moment on.
import { readFileSync, writeFileSync } from "node:fs";

/** Of the life of this process, in bytes. */
export const peakOfLife = (): number => process.resourceUsage().maxRSS * 1024;

/** Does the work, and returns by how much resident memory rose above what there was before, at its peak, in bytes. Linux. */
export async function riseDuring(work: () => Promise<void>): Promise<number> {
  const field = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const before = field("VmRSS");
  // 5: the peak is counted again from what is resident now.
  writeFileSync("/proc/self/clear_refs", "5");
  await work();
  return field("VmHWM") - before;
}
