import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createOverloadWatch } from "./overload.js";
import { createPace } from "./pace.js";
import { createScheduler, type Program, type Unit } from "./scheduler.js";

const limits = { maxBatchTokens: 16384, maxConcurrentRequests: 512, maxQueueTime: 5000, maxSlowdown: 1.6 };

/** mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A processor that takes so long: 2 ms for a batch and 0.06 ms for a token, times `slowness`, and now and then a third more. */
const processor = (random: () => number, slowness: number): Program<Unit, number> => ({
  name: "count",
  async compute(units) {
    const all = units.reduce((sum, { tokens }) => sum + tokens, 0);
    const jitter = random() < 0.1 ? 1.3 : 1 + 0.1 * random();
    await new Promise((resolve) => setTimeout(resolve, slowness * jitter * (2 + 0.06 * all)));
    return units.map(({ tokens }) => tokens);
  },
});

interface Outcome {
  readonly milliseconds: number;
  readonly accepted: boolean;
}

const sizes = [10, 20, 40, 60];
/** What a request of eight takes alone, and how many of them can be done in a second. */
const alone = 2 + 0.06 * 8 * 32.5;
const sustainable = 1000 / alone / 1.075;

/** A server, and how it answered. */
function simulate(seed = 1, slowness = 1) {
  const random = randomOf(seed);
  const program = processor(random, slowness);
  const scheduler = createScheduler(limits);
  const outcomes: Outcome[] = [];
  const ask = async (count = 8): Promise<void> => {
    const units = Array.from({ length: count }, () => ({ tokens: sizes[Math.floor(random() * sizes.length)] }));
    const start = performance.now();
    const accepted = await scheduler.submit(program, units).then(
      ({ results }) => {
        expect(results).toEqual(units.map(({ tokens }) => tokens));
        return true;
      },
      (error) => {
        expect(error).toMatchObject({ kind: "overloaded", retryAfter: expect.any(Number) });
        return false;
      },
    );
    outcomes.push({ accepted, milliseconds: performance.now() - start });
  };
  return {
    random,
    ask,
    refused: () => outcomes.filter(({ accepted }) => !accepted).length,
    accepted: () =>
      outcomes
        .filter(({ accepted }) => accepted)
        .map(({ milliseconds }) => milliseconds)
        .sort((a, b) => a - b),
  };
}

/** Requests at random moments, as from many clients who know nothing of each other. @returns how many */
async function openLoop(
  { random, ask }: ReturnType<typeof simulate>,
  seconds: number,
  rate: number,
  countOf: () => number = () => 8,
): Promise<number> {
  const end = performance.now() + 1000 * seconds;
  let asked = 0;
  const next = (): void => {
    if (performance.now() > end) return;
    asked++;
    void ask(countOf());
    setTimeout(next, (-Math.log(1 - random()) * 1000) / rate);
  };
  next();
  // Longer than any queue, so that everything is answered.
  await vi.advanceTimersByTimeAsync(1000 * seconds + 10_000);
  return asked;
}

/** Clients that send their next request when the last was answered. */
async function closedLoop(
  { ask, refused, random }: ReturnType<typeof simulate>,
  seconds: number,
  clients: number,
  count: number,
) {
  const end = performance.now() + 1000 * seconds;
  const client = async (): Promise<void> => {
    while (performance.now() < end && refused() === 0) {
      await ask(count);
      // Reading one answer after another, and writing the next requests, takes a while.
      await new Promise((resolve) => setTimeout(resolve, 60 * random()));
    }
  };
  for (let i = 0; i < clients; i++) void client();
  await vi.advanceTimersByTimeAsync(1000 * seconds + 10_000);
}

describe("a server whose time passes when it is told to", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("two minutes at twice what can be done: nothing is lost, what is taken is quick, and most of what can be done is", async () => {
    const server = simulate();
    const asked = await openLoop(server, 120, 2 * sustainable);
    const times = server.accepted();
    expect(times.length + server.refused()).toBe(asked);
    expect(times[Math.floor(0.99 * times.length)]).toBeLessThan(3 * alone);
    expect(times.length / 120).toBeGreaterThan(0.85 * sustainable);
  });

  test("twice what can be done in requests of very different sizes is seen too, and waits stay short", async () => {
    const server = simulate(7);
    const asked = await openLoop(server, 60, 2 * sustainable, () => (server.random() < 0.95 ? 1 : 141));
    const times = server.accepted();
    expect(times.length + server.refused()).toBe(asked);
    expect(server.refused()).toBeGreaterThan(asked / 4);
    expect(times[Math.floor(0.99 * times.length)]).toBeLessThan(1000);
    expect(times[times.length - 1]).toBeLessThan(2500);
  });

  test("below what can be done nobody is refused, and after overload it is so again", async () => {
    const server = simulate(2);
    await openLoop(server, 30, 0.7 * sustainable);
    expect(server.refused()).toBe(0);
    await openLoop(server, 10, 3 * sustainable);
    const before = server.refused();
    expect(before).toBeGreaterThan(0);
    await openLoop(server, 30, 0.7 * sustainable);
    expect(server.refused()).toBe(before);
  });

  test.each([
    [18, 1, 2, 400, 1],
    [18, 1, 2, 100, 6],
    [18, 1, 3, 400, 1],
    [18, 1, 8, 150, 1],
    [4, 1, 4, 60, 6],
    [200, 1, 2, 100, 1],
    [60, 2, 4, 200, 2.5],
    [0, 1, 20, 60, 1],
    [10, 1, 30, 30, 2],
  ])(
    "%i clients with %i texts and %i with %i, who wait for their answers, are never refused, on a processor %f times as slow",
    async (many, count, few, more, slowness) => {
      for (const seed of [3, 4, 5, 6]) {
        const server = simulate(seed, slowness);
        await Promise.all([closedLoop(server, 20, many, count), closedLoop(server, 20, few, more)]);
        expect(server.refused()).toBe(0);
      }
    },
  );

  test.each([
    [64, 1, 1],
    [64, 8, 1],
    [200, 8, 1],
    [64, 8, 2.5],
    [16, 8, 6],
    [64, 1, 6],
    [200, 1, 6],
    [64, 1, 15],
  ])(
    "%i clients that wait for their answers are never refused, with %i texts each, on a processor %f times as slow",
    async (clients, count, slowness) => {
      for (const seed of [3, 4, 5, 6]) {
        const server = simulate(seed, slowness);
        await closedLoop(server, 20, clients, count);
        expect(server.refused()).toBe(0);
      }
    },
  );
});

test("overload is what lasts: not a burst, not a short queue, not what is over", () => {
  const watch = createOverloadWatch();
  /** A second in which so many come and so many are done. */
  const second = (from: number, come: number, done: number, wait = 1000): boolean => {
    let overloaded = false;
    for (let i = 0; i < 1000; i += 10) {
      if (i % (1000 / come) < 10) watch.arrived(10, from + i);
      if (i % (1000 / done) < 10) {
        watch.ran(10, 1000 / done, from + i);
        watch.finished(10, from + i);
      }
      overloaded = watch.overloaded(wait, from + i);
    }
    return overloaded;
  };
  for (let i = 0; i < 200; i++) watch.arrived(10, 0);
  expect(watch.overloaded(5000, 1)).toBe(false);
  expect(second(10, 50, 50)).toBe(false);
  expect(second(1010, 100, 50, 100)).toBe(false);
  expect(second(2010, 100, 50)).toBe(true);
  expect(second(3010, 25, 50)).toBe(true);
  expect(second(4010, 25, 50)).toBe(false);
});

describe("pace", () => {
  test("learns what a batch takes and what a token takes", () => {
    const pace = createPace();
    pace.observe(2000, 5000);
    pace.observe(200, 13);
    expect(pace.timeFor(100)).toBe(0);
    for (let i = 0; i < 50; i++) for (const tokens of [50, 200, 800]) pace.observe(tokens, 3 + 0.05 * tokens);
    expect(pace.timeFor(1)).toBeCloseTo(3, 0);
    expect(pace.timeFor(1600)).toBeCloseTo(83, 0);
  });

  test("from batches of one size takes small ones to be little quicker, and no batch to be quicker than none", () => {
    const pace = createPace();
    for (let i = 0; i < 300; i++) pace.observe(2, 40);
    expect(pace.timeFor(2)).toBeCloseTo(40);
    expect(pace.timeFor(144)).toBeLessThan(100);
    expect(pace.timeFor(144)).toBeGreaterThan(40);
    const falling = createPace();
    for (let i = 0; i < 20; i++) for (const tokens of [100, 2000]) falling.observe(tokens, tokens === 100 ? 50 : 20);
    expect(falling.timeFor(10_000)).toBeGreaterThan(0);
  });
});
