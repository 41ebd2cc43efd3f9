// One queue before one processor: requests wait in their turn, and what waits for the same program runs together.
import { createOverloadWatch } from "./overload.js";
import { createPace, type Pace } from "./pace.js";
import { ServingError } from "./serving-error.js";

/** What is computed for one sequence of a request. */
export interface Unit {
  /** Its share of a forward pass. */
  readonly tokens: number;
}

/** Something that computes batches: a model with one kind of output. */
export interface Program<U extends Unit, Result> {
  readonly name: string;
  /** Units of a batch at most. Default: as many as fit. */
  readonly most?: number;
  /** Results in the order of the units. Not called again before it has answered. alone: nothing else waits, of any request. */
  compute(units: readonly U[], alone?: boolean): Promise<readonly Result[]>;
}

export interface Answer<Result> {
  readonly results: readonly Result[];
  /** Milliseconds before the first of its units ran. */
  readonly queueTime: number;
  /** Milliseconds of the batches that its units were in. */
  readonly computeTime: number;
}

export interface SchedulerOptions {
  readonly maxBatchTokens: number;
  readonly maxBatchRequests?: number;
  readonly maxConcurrentRequests: number;
  /** Milliseconds. */
  readonly maxQueueTime: number;
  /** Under lasting overload, how many times what it takes alone a usual request may take. Above 1. */
  readonly maxSlowdown: number;
  /** Called for each batch that ran. */
  onBatch?(batch: { program: string; units: number; tokens: number; milliseconds: number }): void;
}

export interface Scheduler {
  /** Requests that wait or run. */
  readonly active: number;
  /** Units that wait. */
  readonly waiting: number;
  /** Milliseconds that a request of now would wait, by the speed of the last batches. */
  expectedWait(): number;
  /** @throws ServingError "overloaded" when a request of now would not be taken */
  admit(): void;
  /**
   * Puts a request into the queue. An aborted one leaves it at once; what of it runs already is thrown away.
   *
   * @throws ServingError "overloaded", the signal's reason, and what the program throws for these units
   */
  submit<U extends Unit, Result>(
    program: Program<U, Result>,
    units: readonly U[],
    options?: { signal?: AbortSignal },
  ): Promise<Answer<Result>>;
  /** Resolves when nothing waits or runs. */
  idle(): Promise<void>;
}

interface Entry {
  readonly program: Program<Unit, unknown>;
  readonly units: readonly Unit[];
  readonly results: unknown[];
  readonly since: number;
  readonly tokens: number;
  /** The first unit that has not started. */
  next: number;
  /** Units without a result. */
  left: number;
  startedAt?: number;
  computeTime: number;
  settled: boolean;
  resolve(answer: Answer<unknown>): void;
  reject(reason: unknown): void;
}

interface Part {
  readonly entry: Entry;
  readonly from: number;
  readonly to: number;
}

/**
 * A processor gains little from batches beyond this many tokens, and two smaller batches let answers be written, and new
 * requests be read, while the next one runs.
 */
const worthwhileTokens = 1024;

/** Larger ones only keep answers waiting. */
const enoughTokens = 2048;

/** What older requests still count for in what is believed to be usual. */
const memory = 0.95;

const sumOf = (units: readonly Unit[], from = 0): number => {
  let tokens = 0;
  for (let i = from; i < units.length; i++) tokens += units[i].tokens;
  return tokens;
};
const tokensOf = ({ units, next, tokens }: Entry): number => (next === 0 ? tokens : sumOf(units, next));

/**
 * Makes a scheduler. Batches hold at most `maxBatchTokens` (a longer sequence stands alone), first come, first served;
 * a request with more units than fit goes to the back of the queue with what is left, so that small ones are not held up.
 *
 * Under lasting overload a request is taken only when it will wait for at most `maxSlowdown` - 1 times what requests usually
 * take alone, and batches stay as small as what was promised asks for.
 *
 * @example
 * const { results } = await scheduler.submit(program, [{ tokens: 3, ids: [101, 7592, 102] }]);
 */
export function createScheduler(options: SchedulerOptions): Scheduler {
  const { maxBatchTokens, maxBatchRequests = Number.POSITIVE_INFINITY } = options;
  const { maxConcurrentRequests, maxQueueTime, maxSlowdown } = options;
  let queue: Entry[] = [];
  let active = 0;
  let running: { startedAt: number; expected: number } | undefined;
  let scheduled = false;
  const paces = new Map<Program<Unit, unknown>, Pace>();
  const paceOf = (program: Program<Unit, unknown>): Pace => {
    const found = paces.get(program) ?? createPace();
    paces.set(program, found);
    return found;
  };
  const watch = createOverloadWatch();
  /** Tokens and milliseconds of requests alone, on average. */
  let usual = { tokens: 0, milliseconds: 0 };
  let limiting = false;
  /** Milliseconds that a request may wait under overload. */
  const patience = (): number => (maxSlowdown - 1) * usual.milliseconds;
  /** When a request is to be answered. */
  const dueOf = ({ program, tokens, since }: Entry): number =>
    limiting ? since + patience() + paceOf(program).timeFor(tokens) : Number.POSITIVE_INFINITY;
  let listeners: (() => void)[] = [];

  const tellIdle = (): void => {
    if (active > 0 || running !== undefined) return;
    const waiters = listeners;
    listeners = [];
    for (const waiter of waiters) waiter();
  };
  const settle = (entry: Entry): boolean => {
    if (entry.settled) return false;
    entry.settled = true;
    active--;
    watch.finished(entry.tokens, performance.now());
    tellIdle();
    return true;
  };
  const fail = (entry: Entry, reason: unknown): void => {
    if (!settle(entry)) return;
    queue = queue.filter((other) => other !== entry);
    entry.reject(reason);
  };
  const finish = ({ entry, from, to }: Part, results: readonly unknown[], computeTime: number): void => {
    for (let i = from; i < to; i++) entry.results[i] = results[i - from];
    entry.left -= to - from;
    entry.computeTime += computeTime;
    if (entry.left > 0 || !settle(entry)) return;
    const { results: all, since, startedAt = since } = entry;
    entry.resolve({ results: all, queueTime: startedAt - since, computeTime: entry.computeTime });
  };

  /** The next batch: parts of entries that wait for the program of the first, none of which is late for the others' sake. */
  const cut = (): { program: Program<Unit, unknown>; parts: Part[]; tokens: number } => {
    const { program } = queue[0];
    const same = queue.filter((entry) => entry.program === program);
    const waiting = same.reduce((sum, entry) => sum + tokensOf(entry), 0);
    const worth = Math.max(worthwhileTokens, Math.min(enoughTokens, Math.ceil(waiting / 2)));
    const budget = Math.min(maxBatchTokens, worth);
    const most = Math.min(maxBatchRequests, program.most ?? Number.POSITIVE_INFINITY);
    const now = performance.now();
    let due = Number.POSITIVE_INFINITY;
    const parts: Part[] = [];
    let tokens = 0;
    let count = 0;
    for (const entry of same) {
      const from = entry.next;
      due = Math.min(due, dueOf(entry));
      if (count > 0 && now + paceOf(program).timeFor(tokens + tokensOf(entry)) > due) break;
      while (entry.next < entry.units.length && count < most) {
        const more = entry.units[entry.next].tokens;
        if (count > 0 && tokens + more > budget) break;
        tokens += more;
        count++;
        entry.next++;
      }
      if (entry.next > from) parts.push({ entry, from, to: entry.next });
      if (entry.next < entry.units.length) break;
    }
    const last = parts[parts.length - 1].entry;
    const unfinished = queue.filter((entry) => entry !== last && entry.next < entry.units.length);
    queue = last.next < last.units.length ? [...unfinished, last] : unfinished;
    return { program, parts, tokens };
  };

  /** One by one, so that what is wrong with one request is not held against its neighbours. */
  const separately = async (program: Program<Unit, unknown>, parts: readonly Part[]): Promise<void> => {
    for (const part of parts) {
      if (part.entry.settled) continue;
      const start = performance.now();
      try {
        const results = await program.compute(part.entry.units.slice(part.from, part.to));
        finish(part, results, performance.now() - start);
      } catch (error) {
        fail(part.entry, error);
      }
    }
  };

  const run = async (): Promise<void> => {
    scheduled = false;
    if (running !== undefined) return;
    refuseLate();
    if (queue.length === 0) return;
    const { program, parts, tokens } = cut();
    const startedAt = performance.now();
    running = { startedAt, expected: paceOf(program).timeFor(tokens) };
    const units = parts.flatMap(({ entry, from, to }) => entry.units.slice(from, to));
    for (const { entry } of parts) entry.startedAt ??= startedAt;
    let deliver: () => void;
    try {
      const results = await program.compute(units, active === 1 && queue.length === 0);
      const milliseconds = performance.now() - startedAt;
      paceOf(program).observe(tokens, milliseconds);
      watch.ran(tokens, milliseconds, performance.now());
      options.onBatch?.({ program: program.name, units: units.length, tokens, milliseconds });
      deliver = () => {
        let at = 0;
        for (const part of parts) {
          const count = part.to - part.from;
          finish(part, results.slice(at, at + count), milliseconds);
          at += count;
        }
      };
    } catch (error) {
      if (parts.length > 1) await separately(program, parts);
      else fail(parts[0].entry, error);
      deliver = () => {};
    }
    running = undefined;
    // The next batch starts before these answers are written.
    void run();
    deliver();
    tellIdle();
  };
  /** After what has arrived by now is read, so that it can run together. */
  const schedule = (): void => {
    if (scheduled || running !== undefined) return;
    scheduled = true;
    setImmediate(() => void run());
  };

  /** Milliseconds until what runs and what waits is done. */
  const expectedWait = (): number => {
    // A batch that is late may be late for as long again.
    const left = running === undefined ? 0 : Math.abs(running.startedAt + running.expected - performance.now());
    const waiting = new Map<Program<Unit, unknown>, number>();
    for (const entry of queue) waiting.set(entry.program, (waiting.get(entry.program) ?? 0) + tokensOf(entry));
    return [...waiting].reduce((sum, [program, tokens]) => sum + paceOf(program).timeFor(tokens), left);
  };
  const overloaded = (wait: number): ServingError => {
    const seconds = Math.max(1, Math.ceil(wait / 1000));
    return new ServingError("overloaded", `The server is busy; try again in ${seconds} s`, { retryAfter: seconds });
  };
  /** @throws ServingError "overloaded" */
  const checkWait = (): void => {
    const wait = expectedWait();
    limiting = watch.overloaded(wait, performance.now());
    const most = limiting ? Math.min(maxQueueTime, patience()) : maxQueueTime;
    if (active >= maxConcurrentRequests || wait > most) throw overloaded(wait);
  };
  const admit = (): void => {
    try {
      checkWait();
    } catch (error) {
      // It counts, though how large it is was not read.
      watch.arrived(usual.tokens, performance.now());
      throw error;
    }
  };

  /** Refuses what waits for much longer than it should: what came before overload was seen, or before a batch that hung. */
  const refuseLate = (): void => {
    if (!limiting) return;
    const soonest = performance.now() - usual.milliseconds / 2;
    const late = queue.filter(({ next, since }) => next === 0 && since + patience() < soonest);
    const wait = late.length > 0 ? expectedWait() : 0;
    for (const entry of late) fail(entry, overloaded(wait));
  };
  /**
   * Takes a request of now, or does not.
   *
   * @throws ServingError "overloaded"
   */
  const take = (program: Program<Unit, unknown>, tokens: number): void => {
    watch.arrived(tokens, performance.now());
    const older = usual.tokens === 0 ? 0 : memory;
    usual = {
      tokens: older * usual.tokens + (1 - older) * tokens,
      milliseconds: older * usual.milliseconds + (1 - older) * paceOf(program).timeFor(tokens),
    };
    checkWait();
  };

  return {
    get active() {
      return active;
    },
    get waiting() {
      return queue.reduce((sum, { units, next }) => sum + units.length - next, 0);
    },
    expectedWait,
    admit,
    async submit<U extends Unit, Result>(
      program: Program<U, Result>,
      units: readonly U[],
      { signal }: { signal?: AbortSignal } = {},
    ): Promise<Answer<Result>> {
      if (units.length === 0) return { results: [], queueTime: 0, computeTime: 0 };
      signal?.throwIfAborted();
      // A program is only ever given its own units.
      const known = program as unknown as Program<Unit, unknown>;
      const tokens = sumOf(units);
      take(known, tokens);
      active++;
      return new Promise<Answer<Result>>((resolve, reject) => {
        const entry: Entry = {
          program: known,
          units,
          results: new Array(units.length),
          since: performance.now(),
          tokens,
          next: 0,
          left: units.length,
          computeTime: 0,
          settled: false,
          resolve: resolve as (answer: Answer<unknown>) => void,
          reject,
        };
        signal?.addEventListener("abort", () => fail(entry, signal.reason), { once: true });
        queue.push(entry);
        schedule();
      });
    },
    idle: () =>
      new Promise((resolve) => {
        listeners.push(resolve);
        tellIdle();
      }),
  };
}
