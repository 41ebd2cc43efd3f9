// One queue before one processor: requests wait in their turn, and what waits for the same program runs together.
import { ServingError } from "./serving-error.js";

/** What is computed for one sequence of a request. */
export interface Unit {
  /** Its share of a forward pass. */
  readonly tokens: number;
}

/** Something that computes batches: a model with one kind of output. */
export interface Program<U extends Unit, Result> {
  readonly name: string;
  /** Results in the order of the units. Not called again before it has answered. */
  compute(units: readonly U[]): Promise<readonly Result[]>;
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

/** What older batches still count for in what is believed about speed. */
const memory = 0.9;

/** A batch of a few tokens takes about as long as one of this many: what waits behind it will run together. */
const smallestBatch = 128;

/** Milliseconds and tokens of the last batches, older ones less. */
interface Pace {
  milliseconds: number;
  tokens: number;
}

const tokensOf = ({ units, next }: Entry): number => {
  let tokens = 0;
  for (let i = next; i < units.length; i++) tokens += units[i].tokens;
  return tokens;
};

/**
 * Makes a scheduler. Batches hold at most `maxBatchTokens` (a longer sequence stands alone), first come, first served;
 * a request with more units than fit goes to the back of the queue with what is left, so that small ones are not held up.
 *
 * @example
 * const { results } = await scheduler.submit(program, [{ tokens: 3, ids: [101, 7592, 102] }]);
 */
export function createScheduler(options: SchedulerOptions): Scheduler {
  const { maxBatchTokens, maxBatchRequests = Number.POSITIVE_INFINITY, maxConcurrentRequests, maxQueueTime } = options;
  let queue: Entry[] = [];
  let active = 0;
  let running: { startedAt: number; expected: number } | undefined;
  let scheduled = false;
  const paces = new Map<Program<Unit, unknown>, Pace>();
  /** Milliseconds that tokens take. */
  const timeFor = (program: Program<Unit, unknown>, tokens: number): number => {
    const pace = paces.get(program);
    return pace === undefined ? 0 : (tokens * pace.milliseconds) / pace.tokens;
  };
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

  /** The next batch: parts of entries that wait for the program of the first. */
  const cut = (): { program: Program<Unit, unknown>; parts: Part[]; tokens: number } => {
    const { program } = queue[0];
    const same = queue.filter((entry) => entry.program === program);
    const waiting = same.reduce((sum, entry) => sum + tokensOf(entry), 0);
    const budget = Math.min(maxBatchTokens, Math.max(worthwhileTokens, Math.ceil(waiting / 2)));
    const parts: Part[] = [];
    let tokens = 0;
    let count = 0;
    for (const entry of same) {
      const from = entry.next;
      while (entry.next < entry.units.length && count < maxBatchRequests) {
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
    if (running !== undefined || queue.length === 0) return;
    const { program, parts, tokens } = cut();
    const startedAt = performance.now();
    running = { startedAt, expected: timeFor(program, tokens) };
    const units = parts.flatMap(({ entry, from, to }) => entry.units.slice(from, to));
    for (const { entry } of parts) entry.startedAt ??= startedAt;
    let deliver: () => void;
    try {
      const results = await program.compute(units);
      const milliseconds = performance.now() - startedAt;
      const before = paces.get(program) ?? { milliseconds: 0, tokens: 0 };
      paces.set(program, {
        milliseconds: memory * before.milliseconds + milliseconds,
        tokens: memory * before.tokens + Math.max(smallestBatch, tokens),
      });
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

  const expectedWait = (): number => {
    const left = running === undefined ? 0 : Math.max(0, running.startedAt + running.expected - performance.now());
    return queue.reduce((sum, entry) => sum + timeFor(entry.program, tokensOf(entry)), left);
  };
  const admit = (): void => {
    const wait = expectedWait();
    if (active < maxConcurrentRequests && wait <= maxQueueTime) return;
    const seconds = Math.max(1, Math.ceil(wait / 1000));
    throw new ServingError("overloaded", `The server is busy; try again in ${seconds} s`, { retryAfter: seconds });
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
      admit();
      active++;
      return new Promise<Answer<Result>>((resolve, reject) => {
        const entry: Entry = {
          // A program is only ever given its own units.
          program: program as unknown as Program<Unit, unknown>,
          units,
          results: new Array(units.length),
          since: performance.now(),
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
