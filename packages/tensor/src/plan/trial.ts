// Which of several ways is the fastest on this machine: tried out.

/** How often each way is tried. */
const rounds = 5;
/** Times that differ by less are the same. */
const tie = 1.05;

/**
 * The first of the ways that ran fastest. Ways are tried in turn, and the best time of each counts: what others do on the machine
 * meanwhile slows down all of them, or none for good.
 */
export function fastestWay<Way>(ways: readonly { readonly way: Way; run(): void }[]): Way {
  const best = ways.map(({ run }) => {
    run();
    return Number.POSITIVE_INFINITY;
  });
  for (let round = 0; round < rounds; round++) {
    ways.forEach(({ run }, i) => {
      const start = performance.now();
      run();
      best[i] = Math.min(best[i], performance.now() - start);
    });
  }
  const enough = tie * Math.min(...best);
  return ways[best.findIndex((time) => time <= enough)].way;
}
