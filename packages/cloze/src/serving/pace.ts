// How long batches take, learnt from those that ran.

export interface Pace {
  /** A batch of so many tokens took so long. The first, in which plans are made, says nothing about others. */
  observe(tokens: number, milliseconds: number): void;
  /** Milliseconds that a batch of so many tokens will take; 0 while little is known. */
  timeFor(tokens: number): number;
}

/** What older batches still count for. */
const memory = 0.95;

/** A few short texts may have been held up by anything: what many would take is said from so many tokens on. */
const telling = 512;

/** Before batches of several sizes were seen: one of no tokens takes as long as this many more. */
const fixedTokens = 128;

/** How many squared tokens of spread the assumption above is worth. */
const priorSpread = 64 ** 2;

/**
 * A line through the last batches, fixed + slope · tokens, by least squares with older ones counting less. The slope leans
 * towards what `fixedTokens` says, so that batches of one size give a line too; neither part is below 0.
 */
export function createPace(): Pace {
  let [count, x, y, xx, xy] = [0, 0, 0, 0, 0];
  /** Batches and tokens so far. */
  let [batches, seen] = [0, 0];
  return {
    observe(tokens, milliseconds) {
      if (batches++ === 0) return;
      seen += tokens;
      count = memory * count + 1;
      x = memory * x + tokens;
      y = memory * y + milliseconds;
      xx = memory * xx + tokens * tokens;
      xy = memory * xy + tokens * milliseconds;
    },
    timeFor(tokens) {
      if (seen < telling) return 0;
      const [meanTokens, meanTime] = [x / count, y / count];
      const spread = Math.max(0, xx / count - meanTokens ** 2);
      const together = xy / count - meanTokens * meanTime;
      const slope = (together + (priorSpread * meanTime) / (fixedTokens + meanTokens)) / (spread + priorSpread);
      const bounded = Math.min(Math.max(slope, 0), meanTime / Math.max(1, meanTokens));
      return meanTime + bounded * (tokens - meanTokens);
    },
  };
}
