// Whether more comes than can be done, and goes on coming. Clients that send their next request when the last was answered
// may fill a queue, but never make it grow for long; those who send whatever happens do.

export interface OverloadWatch {
  /** A request came, whether it was taken or not. */
  arrived(tokens: number, now: number): void;
  /** A request that was taken is answered, or left. */
  finished(tokens: number, now: number): void;
  /** A batch ran, from then until now. */
  ran(tokens: number, milliseconds: number, now: number): void;
  /**
   * Whether the server is overloaded.
   *
   * @param wait milliseconds that a request of now would wait
   */
  overloaded(wait: number, now: number): boolean;
}

/** Sums since the start, at a moment. */
interface Sums {
  readonly now: number;
  readonly arrived: number;
  /** Squared tokens of what arrived. */
  readonly squares: number;
  /** Tokens of requests that are answered or left, each when it is. */
  readonly finished: number;
  readonly computed: number;
  /** Milliseconds in which the processor was busy. */
  readonly busy: number;
  /** The largest batch or request of late, in tokens. */
  readonly burst: number;
}

/** Milliseconds between two looks at the sums. */
const step = 125;

/** Looks in the spans over which load is measured: much too much is seen soon, a little too much later. */
const spans = [4, 8, 16, 32, 64, 256];

/** What is left of the largest batch or request at the next batch. */
const fading = 0.98;

/** A queue that is gone in so many milliseconds is none to speak of. */
const patience = 250;

/** How far beyond chance, in standard deviations of what comes at random, each half of a span must be. */
const deviations = 2;

/**
 * Work that came, by what could have been done in that time; above 1 it is too much. What could be done is what was done,
 * had the processor been busy all the time.
 *
 * @param uncounted tokens of what came that say nothing
 */
function offeredLoad(from: Sums, to: Sums, uncounted = 0): number {
  const [computed, busy] = [to.computed - from.computed, to.busy - from.busy];
  const arrived = to.arrived - from.arrived - uncounted;
  if (arrived <= 0) return 0;
  // Where no batch ended, nothing is known.
  return computed === 0 ? 1 : (arrived * busy) / (computed * (to.now - from.now));
}

/**
 * How much chance there is in what came, as a part of it: one over the root of the number of requests where all are alike;
 * a few large ones make more.
 */
function chanceOf(from: Sums, to: Sums): number {
  const arrived = to.arrived - from.arrived;
  return arrived === 0 ? 1 : Math.sqrt(to.squares - from.squares) / arrived;
}

// Who waits for answers asks again when a batch ends: whether that falls into one half of a span or the other is chance too.
// So does who asked for more than a batch, most of which may have been computed before the span.
// In any case they ask for no more than was finished for them.
function beyondChance(from: Sums, to: Sums): boolean {
  const enough = 1 + deviations * chanceOf(from, to);
  const arrived = to.arrived - from.arrived - to.burst;
  return arrived > enough * (to.finished - from.finished) && offeredLoad(from, to, to.burst) > enough;
}

/**
 * Overload begins when requests wait, and in both halves of some span more came than could be done, by more than chance
 * would have it; it ends when in the last two seconds less came than could be done.
 */
export function createOverloadWatch(): OverloadWatch {
  let [arrived, squares, finished, computed, busy, burst] = [0, 0, 0, 0, 0, 0];
  let looks: Sums[] = [];
  let state = false;
  const look = (now: number): void => {
    const last = looks[looks.length - 1];
    if (last !== undefined && now - last.now < step) return;
    // Nobody came for long: what was before says nothing any more.
    if (last !== undefined && now - last.now > 8 * step) looks = [];
    looks.push({ now, arrived, squares, finished, computed, busy, burst });
    if (looks.length > 2 * spans[spans.length - 1]) looks = looks.slice(-spans[spans.length - 1] - 1);
  };
  return {
    arrived(tokens, now) {
      look(now);
      arrived += tokens;
      squares += tokens * tokens;
      burst = Math.max(tokens, burst);
    },
    finished(tokens, now) {
      look(now);
      finished += tokens;
    },
    ran(tokens, milliseconds, now) {
      look(now);
      computed += tokens;
      busy += milliseconds;
      burst = Math.max(tokens, fading * burst);
    },
    overloaded(wait, now) {
      const latest = looks.length - 1;
      const at = (back: number): Sums => looks[Math.max(0, latest - back)];
      if (latest < 0 || now - looks[latest].now > 8 * step) state = false;
      else if (state) state = offeredLoad(at(16), looks[latest]) >= 1;
      else {
        state =
          wait > patience &&
          spans.some(
            (span) =>
              latest >= span && beyondChance(at(span), at(span / 2)) && beyondChance(at(span / 2), looks[latest]),
          );
      }
      return state;
    },
  };
}
