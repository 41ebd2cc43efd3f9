import type { PullProgress } from "../data/hub/index.js";
import { formatBytes, formatDuration } from "../training/progress.js";
import type { CommonOptions } from "./output.js";

/** What a download prints: on a terminal one line that is rewritten, elsewhere a line every ten seconds. */
export function byteProgress(
  task: string,
  { quiet }: CommonOptions,
  stream: NodeJS.WriteStream = process.stderr,
): { update(event: PullProgress): void; done(): void } {
  if (quiet === true) return { update() {}, done() {} };
  const start = performance.now();
  const interval = stream.isTTY ? 100 : 10_000;
  let last = stream.isTTY ? Number.NEGATIVE_INFINITY : start;
  let open = false;
  return {
    update({ bytes, totalBytes, received, filesDone, files }) {
      const now = performance.now();
      const finished = filesDone === files;
      if (now - last < interval && !finished) return;
      last = now;
      const rate = (received / Math.max(1, now - start)) * 1000;
      const share = totalBytes === 0 ? 1 : bytes / totalBytes;
      const facts = [
        `${(share * 100).toFixed(0).padStart(3)} %`,
        `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
        `${filesDone} of ${files} files`,
      ];
      if (rate > 0 && !finished) {
        facts.push(`${(rate / 1e6).toFixed(1)} MB/s`, `${formatDuration((totalBytes - bytes) / rate)} left`);
      }
      const line = facts.join(" · ");
      if (!stream.isTTY) {
        stream.write(`${task}: ${line}\n`);
        return;
      }
      const full = Math.round(20 * Math.min(1, share));
      const shown = `${task} ${"█".repeat(full)}${"░".repeat(20 - full)} ${line}`;
      stream.write(`\r\u001b[2K${shown.slice(0, Math.max(20, (stream.columns ?? 100) - 1))}`);
      open = true;
    },
    done() {
      if (open) stream.write("\n");
      open = false;
    },
  };
}
