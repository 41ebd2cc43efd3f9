// Which of several ways is the fastest on this machine: tried out.

/** How often a way is tried. */
const trials = 3;

/** Milliseconds of the fastest of some runs. */
function fastestOf(run: () => void): number {
  run();
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < trials; i++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** The first of the ways that ran fastest. */
export function fastestWay<Way>(ways: readonly { readonly way: Way; run(): void }[]): Way {
  const times = ways.map(({ run }) => fastestOf(run));
  return ways[times.indexOf(Math.min(...times))].way;
}
