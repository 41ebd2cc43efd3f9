import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createScheduler, type Program, type Unit } from "./scheduler.js";
import { ServingError } from "./serving-error.js";

interface Word extends Unit {
  readonly text: string;
}
const word = (text: string, tokens = text.length): Word => ({ text, tokens });
const limits = { maxBatchTokens: 4096, maxConcurrentRequests: 100, maxQueueTime: 60_000, maxSlowdown: 1.6 };

/** Answers with the texts in capitals, a batch at a time, when it is let go. */
function capitals({ hold = false }: { hold?: boolean } = {}) {
  const batches: string[][] = [];
  const gates: (() => void)[] = [];
  let busy = false;
  const program: Program<Word, string> = {
    name: "capitals",
    async compute(units) {
      expect(busy).toBe(false);
      busy = true;
      batches.push(units.map(({ text }) => text));
      await new Promise<void>((resolve) => (hold ? gates.push(resolve) : setImmediate(resolve)));
      busy = false;
      if (units.some(({ text }) => text === "bad")) throw new Error("a bad word");
      return units.map(({ text }) => text.toUpperCase());
    },
  };
  const release = async () => {
    await expect.poll(() => gates.length).toBeGreaterThan(0);
    gates.shift()?.();
    await new Promise((resolve) => setTimeout(resolve, 1));
  };
  return { program, batches, release };
}

test("what waits together runs together, and each gets its own results", async () => {
  const { program, batches } = capitals();
  const scheduler = createScheduler(limits);
  const answers = await Promise.all([
    scheduler.submit(program, [word("a"), word("b")]),
    scheduler.submit(program, [word("c")]),
    scheduler.submit(program, []),
  ]);
  expect(answers.map(({ results }) => results)).toEqual([["A", "B"], ["C"], []]);
  expect(batches).toEqual([["a", "b", "c"]]);
  expect(scheduler.active).toBe(0);
});

test("any requests, any budget: every unit is computed once, in batches that fit, and answers are right", async () => {
  const requests = fc.array(fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 12 }), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(
      requests,
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 9 }),
      async (all, budget, most) => {
        const seen: { tokens: number; count: number }[] = [];
        const program: Program<Word, string> = {
          name: "sum",
          compute: async (units) => {
            seen.push({ tokens: units.reduce((sum, { tokens }) => sum + tokens, 0), count: units.length });
            return units.map(({ text }) => `${text}!`);
          },
        };
        const scheduler = createScheduler({ ...limits, maxBatchTokens: budget, maxBatchRequests: most });
        const answers = await Promise.all(
          all.map((lengths, r) =>
            scheduler.submit(
              program,
              lengths.map((tokens, u) => word(`${r}.${u}`, tokens)),
            ),
          ),
        );
        expect(answers.map(({ results }) => results)).toEqual(
          all.map((lengths, r) => lengths.map((_, u) => `${r}.${u}!`)),
        );
        for (const { tokens, count } of seen) {
          expect(count).toBeLessThanOrEqual(most);
          expect(tokens <= budget || count === 1).toBe(true);
        }
        expect(seen.reduce((sum, { count }) => sum + count, 0)).toBe(all.flat().length);
        await scheduler.idle();
      },
    ),
    { numRuns: 60 },
  );
});

test("a large request does not hold up small ones, and is finished too", async () => {
  const { program, batches } = capitals();
  const scheduler = createScheduler({ ...limits, maxBatchTokens: 1000 });
  const order: string[] = [];
  const large = scheduler
    .submit(
      program,
      Array.from({ length: 10 }, (_, i) => word(`l${i}`, 900)),
    )
    .then(() => order.push("large"));
  const small = scheduler.submit(program, [word("s", 10)]).then(() => order.push("small"));
  await Promise.all([large, small]);
  expect(order).toEqual(["small", "large"]);
  expect(batches[1]).toEqual(["s", "l1"]);
});

test("a program learns whether nothing else waits: no other request, and nothing more of its own", async () => {
  const seen: (boolean | undefined)[] = [];
  const program: Program<Word, string> = {
    name: "alone",
    async compute(units, alone) {
      seen.push(alone);
      await new Promise((resolve) => setImmediate(resolve));
      return units.map(({ text }) => text);
    },
  };
  const scheduler = createScheduler(limits);
  await scheduler.submit(program, [word("a"), word("b")]);
  await Promise.all([scheduler.submit(program, [word("c")]), scheduler.submit(program, [word("d")])]);
  await scheduler.submit(program, [word("e")]);
  expect(seen).toEqual([true, false, true]);
  seen.length = 0;
  // Batches that ran where they are, one behind the other, would let nobody in.
  await scheduler.submit(
    program,
    ["f", "g", "h"].map((text) => word(text, 2000)),
  );
  expect(seen).toEqual([false, false, true]);
});

test("programs do not mix", async () => {
  const [one, two] = [capitals(), capitals()];
  const scheduler = createScheduler(limits);
  await Promise.all([
    scheduler.submit(one.program, [word("a")]),
    scheduler.submit(two.program, [word("b")]),
    scheduler.submit(one.program, [word("c")]),
  ]);
  expect(one.batches).toEqual([["a", "c"]]);
  expect(two.batches).toEqual([["b"]]);
});

test("a request that fails does not take its neighbours with it", async () => {
  const { program } = capitals();
  const scheduler = createScheduler(limits);
  const answers = await Promise.allSettled([
    scheduler.submit(program, [word("good")]),
    scheduler.submit(program, [word("bad")]),
    scheduler.submit(program, [word("fine")]),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  await scheduler.idle();
  expect((await scheduler.submit(program, [word("still")])).results).toEqual(["STILL"]);
});

describe("limits", () => {
  test("more requests than may be are refused with a time to come back", async () => {
    const { program, release } = capitals({ hold: true });
    const scheduler = createScheduler({ ...limits, maxConcurrentRequests: 2 });
    const taken = [scheduler.submit(program, [word("a")]), scheduler.submit(program, [word("b")])];
    const refused = await scheduler.submit(program, [word("c")]).catch((error) => error);
    expect(refused).toBeInstanceOf(ServingError);
    expect(refused).toMatchObject({ kind: "overloaded", retryAfter: 1 });
    await release();
    await Promise.all(taken);
    const again = scheduler.submit(program, [word("c")]);
    await release();
    expect((await again).results).toEqual(["C"]);
  });

  test("a wait that would be too long is refused, by the speed of the batches before", async () => {
    const slow: Program<Word, string> = {
      name: "slow",
      async compute(units) {
        await new Promise((resolve) => setTimeout(resolve, 30));
        return units.map(({ text }) => text);
      },
    };
    const scheduler = createScheduler({ ...limits, maxQueueTime: 20 });
    for (const text of ["a", "b"]) await scheduler.submit(slow, [word(text, 600)]);
    const first = scheduler.submit(slow, [word("b", 600)]);
    expect(scheduler.expectedWait()).toBeGreaterThan(20);
    await expect(scheduler.submit(slow, [word("c", 600)])).rejects.toMatchObject({ kind: "overloaded" });
    await first;
    expect(scheduler.expectedWait()).toBe(0);
  });

  test("a slow start with a few tokens does not refuse the many that come after", async () => {
    const cold: Program<Word, string> = {
      name: "cold",
      async compute(units) {
        await new Promise((resolve) => setTimeout(resolve, 40));
        return units.map(({ text }) => text);
      },
    };
    const scheduler = createScheduler({ ...limits, maxQueueTime: 200 });
    for (const text of ["a", "b"]) await scheduler.submit(cold, [word(text, 2)]);
    const many = Array.from({ length: 24 }, () => scheduler.submit(cold, [word("b", 6)]));
    expect((await Promise.allSettled(many)).map(({ status }) => status)).not.toContain("rejected");
  });

  test("a client that leaves is not computed; when its batch runs already, the others get their answers", async () => {
    const { program, batches, release } = capitals({ hold: true });
    const scheduler = createScheduler(limits);
    const [leaving, gone] = [new AbortController(), new AbortController()];
    const running = scheduler.submit(program, [word("a")], { signal: leaving.signal });
    const beside = scheduler.submit(program, [word("b")]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const waiting = scheduler.submit(program, [word("c")], { signal: gone.signal });
    const late = scheduler.submit(program, [word("d")]);
    gone.abort(new ServingError("cancelled", "left"));
    leaving.abort(new ServingError("cancelled", "left"));
    await expect(running).rejects.toMatchObject({ kind: "cancelled" });
    await expect(waiting).rejects.toMatchObject({ kind: "cancelled" });
    expect(scheduler.active).toBe(2);
    await release();
    await release();
    expect((await beside).results).toEqual(["B"]);
    expect((await late).results).toEqual(["D"]);
    expect(batches).toEqual([["a", "b"], ["d"]]);
  });

  test("idle waits for what runs, even when nobody waits for it any more", async () => {
    const { program, release } = capitals({ hold: true });
    const scheduler = createScheduler(limits);
    const leaving = new AbortController();
    const left = scheduler.submit(program, [word("a")], { signal: leaving.signal });
    await new Promise((resolve) => setTimeout(resolve, 5));
    leaving.abort(new ServingError("cancelled", "left"));
    await expect(left).rejects.toThrow();
    let idle = false;
    const wait = scheduler.idle().then(() => {
      idle = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(idle).toBe(false);
    await release();
    await wait;
  });
});
