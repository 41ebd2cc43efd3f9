/** What a long piece of work reports while it runs. */
export interface ProgressEvent {
  /** What is being done: "train", "index", "tokenize". */
  readonly task: string;
  /** Share of the work that is done, 0 to 1. */
  readonly fraction: number;
  readonly step: number;
  readonly loss?: number;
  readonly learningRate?: number;
  /** Tokens (or other units) per second since the last report. */
  readonly tokensPerSecond?: number;
  /** Seconds since the start, and estimated seconds to the end. */
  readonly elapsed: number;
  readonly remaining: number;
  /** Resident memory of the process, bytes. */
  readonly residentBytes: number;
}

/** Receives progress; `done` ends the line. */
export interface ProgressReporter {
  update(event: ProgressEvent): void;
  /** A line of its own, for facts such as "saved to …". */
  note(line: string): void;
  /** A line about something odd, which `--quiet` leaves in. Default: a note. */
  warn?(line: string): void;
  done(): void;
}

/** Says that something is odd, also where facts are not said. */
export const warn = (progress: ProgressReporter, line: string): void => (progress.warn ?? progress.note)(line);

export const silentProgress: ProgressReporter = { update() {}, note() {}, done() {} };

/** Seconds as "1 h 05 min", "3 min 20 s" or "12 s". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole >= 3600)
    return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  if (whole >= 60) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${whole} s`;
}

/** Bytes as "512 MB" or "1.4 GB". */
export const formatBytes = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;

/** 1234567 as "1.23 M", 5400 as "5.4 k". */
export const formatCount = (count: number): string =>
  count >= 1e6 ? `${(count / 1e6).toFixed(2)} M` : count >= 1e3 ? `${(count / 1e3).toFixed(1)} k` : count.toFixed(0);

const bar = (fraction: number, width = 20): string => {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return "█".repeat(full) + "░".repeat(width - full);
};

/** One line of facts about an event. */
export function formatProgress(event: ProgressEvent): string {
  const parts = [`step ${event.step}`];
  // How much there is to do is not always known.
  if (Number.isFinite(event.remaining)) parts.unshift(`${(event.fraction * 100).toFixed(0).padStart(3)} %`);
  if (event.loss !== undefined) parts.push(`loss ${event.loss.toFixed(4)}`);
  if (event.tokensPerSecond !== undefined) parts.push(`${formatCount(event.tokensPerSecond)} tokens/s`);
  parts.push(formatBytes(event.residentBytes));
  if (Number.isFinite(event.remaining)) parts.push(`${formatDuration(event.remaining)} left`);
  return parts.join(" · ");
}

/**
 * Progress for people: on a terminal one line that is rewritten, elsewhere a plain line every `interval` seconds.
 * Writes to `stream` (default standard error), so that standard output stays free for results.
 */
export function createProgress({
  stream = process.stderr,
  interval = 10,
}: {
  stream?: NodeJS.WriteStream;
  interval?: number;
} = {}): ProgressReporter {
  let last = Number.NEGATIVE_INFINITY;
  let open = false;
  const endLine = () => {
    if (open) stream.write("\n");
    open = false;
  };
  return {
    update(event) {
      const now = performance.now() / 1000;
      const finished = event.fraction >= 1;
      if (now - last < (stream.isTTY ? 0.1 : interval) && !finished) return;
      last = now;
      if (!stream.isTTY) {
        stream.write(`${event.task}: ${formatProgress(event)}\n`);
        return;
      }
      const line = `${event.task} ${bar(event.fraction)} ${formatProgress(event)}`;
      stream.write(`\r\u001b[2K${line.slice(0, Math.max(20, (stream.columns ?? 100) - 1))}`);
      open = true;
    },
    note(line) {
      endLine();
      stream.write(`${line}\n`);
    },
    done: endLine,
  };
}

/** Counts steps and tokens, and turns them into events. */
export function createMeter(task: string, fractionDone: () => number, elapsedBefore = 0) {
  const start = performance.now();
  let lastTime = start;
  let lastTokens = 0;
  let tokens = 0;
  return {
    count(amount: number): void {
      tokens += amount;
    },
    elapsed: (): number => elapsedBefore + (performance.now() - start) / 1000,
    event(step: number, loss?: number, learningRate?: number): ProgressEvent {
      const now = performance.now();
      const tokensPerSecond =
        tokens > 0 && now > lastTime ? ((tokens - lastTokens) / (now - lastTime)) * 1000 : undefined;
      if (now - lastTime > 2000) {
        lastTime = now;
        lastTokens = tokens;
      }
      const elapsed = elapsedBefore + (now - start) / 1000;
      const fraction = Math.min(1, fractionDone());
      return {
        task,
        fraction,
        step,
        loss,
        learningRate,
        tokensPerSecond,
        elapsed,
        remaining: fraction > 0 ? (elapsed * (1 - fraction)) / fraction : Number.POSITIVE_INFINITY,
        residentBytes: process.memoryUsage.rss(),
      };
    },
  };
}
