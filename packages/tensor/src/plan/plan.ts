// A plan: kernel calls that were worked out once and are run with other sizes again and again, as one native call.
import type { Kernels, Pointer } from "../backend/contract.js";
import { type Backend, backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";

/** The sizes that arguments may depend on. */
export interface PlanSizes {
  readonly tokens: number;
  readonly sequences: number;
}

/** An argument of a call: a sum of sizes, each times its coefficient. A number is itself, null an absent pointer. */
export type PlanArgument = number | null | readonly number[];

/** A kernel call whose arguments depend on the sizes. */
export interface PlanCall {
  readonly kernel: keyof Kernels;
  readonly arguments: readonly PlanArgument[];
}

/** What arguments are made of, in the order of their coefficients (native/plan.h). */
export const planVariables = [
  "one",
  "tokens",
  "tokensRounded",
  "sequences",
  "sequencesRounded",
  "numbers",
  "integers",
] as const;
type PlanVariable = (typeof planVariables)[number];

/** An argument from coefficients by name. */
export const planArgument = (coefficients: Partial<Record<PlanVariable, number>>): PlanArgument =>
  planVariables.map((name) => coefficients[name] ?? 0);

/** Rows of an arena are rounded up to this many, so that every buffer starts at a multiple of 64 bytes. */
const rounding = 16;
const roundUp = (count: number): number => Math.ceil(count / rounding) * rounding;

/** How much scratch memory a plan needs: 4-byte elements for each token and for each sequence. */
export interface ArenaSize {
  readonly perToken: number;
  readonly perSequence: number;
}

export interface PlanDescription {
  readonly calls: readonly PlanCall[];
  readonly numbers: ArenaSize;
  readonly integers: ArenaSize;
}

/** The scratch memory of one run. Offsets are in elements. */
export interface PlanMemory {
  writeIntegers(offset: number, values: Int32Array): void;
  writeNumbers(offset: number, values: Float32Array): void;
  readNumbers(offset: number, into: Float32Array): void;
}

/** A plan, ready to run. */
export interface Plan {
  /** The place of a buffer: elements from the start of its arena. */
  offsetOf(place: ArenaSize, sizes: PlanSizes): number;
  /** Bytes of scratch memory that a run takes. */
  bytes(sizes: PlanSizes): number;
  /**
   * Runs all calls. `before` fills the inputs, `after` takes the outputs.
   *
   * @throws PLAN_CLOSED
   */
  run<T>(sizes: PlanSizes, before: (memory: PlanMemory) => void, after: (memory: PlanMemory) => T): T;
  /** The same on another thread, where the backend can; runs may overlap. most: threads of this run; 0: as the plan has it. */
  runAsync<T>(
    sizes: PlanSizes,
    before: (memory: PlanMemory) => void,
    after: (memory: PlanMemory) => T,
    most?: number,
  ): Promise<T>;
  close(): void;
}

const elements = ({ perToken, perSequence }: ArenaSize, { tokens, sequences }: PlanSizes): number =>
  roundUp(tokens) * perToken + roundUp(sequences + 1) * perSequence;

const coefficientsOf = (argument: PlanArgument): readonly number[] =>
  typeof argument === "object" && argument !== null
    ? argument
    : planVariables.map((_, i) => (i === 0 ? (argument ?? 0) : 0));

/** The calls as native/plan.h reads them. */
function encode(calls: readonly PlanCall[], place: (kernel: keyof Kernels) => number): Float64Array {
  const code: number[] = [];
  for (const { kernel, arguments: list } of calls) {
    code.push(place(kernel), list.length);
    for (const argument of list) code.push(...coefficientsOf(argument));
  }
  return Float64Array.from(code);
}

/** The plain twin of the native run: call by call. */
function runCalls({ kernels }: Backend, calls: readonly PlanCall[], variables: Float64Array): void {
  for (const { kernel, arguments: list } of calls) {
    const values = list.map((argument): Pointer => {
      if (argument === null || typeof argument === "number") return argument;
      return argument.reduce((sum, coefficient, i) => sum + coefficient * variables[i], 0);
    });
    (kernels[kernel] as (...values: Pointer[]) => unknown)(...values);
  }
}

interface Arena {
  readonly numbers: number;
  readonly integers: number;
  readonly room: { numbers: number; integers: number };
}

/**
 * Makes a plan of kernel calls for the backend in use. Pointers to weights must stay valid until it is closed.
 *
 * @param composed run call by call even where the backend could run all at once (for tests)
 * @param threads at most so many of the backend's; 0: all
 * @param release called once the plan is closed and no run reads its weights any more
 */
export function createPlan(
  { calls, numbers, integers }: PlanDescription,
  { composed = false, threads = 0, release }: { composed?: boolean; threads?: number; release?: () => void } = {},
): Plan {
  const owner = backend();
  const runner = composed ? undefined : owner.plans;
  const code = runner && encode(calls, runner.place);
  // One arena is kept for the next run; others, of runs that overlapped, go back to the pool.
  let spare: Arena | undefined;
  let running = 0;
  let closed = false;
  const free = (arena: Arena): void => {
    owner.free(arena.numbers);
    owner.free(arena.integers);
  };
  const arenaFor = (sizes: PlanSizes): Arena => {
    const needed = { numbers: elements(numbers, sizes), integers: elements(integers, sizes) };
    if (spare !== undefined) {
      const kept = spare;
      spare = undefined;
      // A burst of long texts does not keep its memory: an arena four times too large is given back.
      const fits = kept.room.numbers >= needed.numbers && kept.room.integers >= needed.integers;
      if (fits && kept.room.numbers <= 4 * needed.numbers + 65536) return kept;
      free(kept);
    }
    return {
      numbers: owner.allocate(Math.max(1, needed.numbers), "float32"),
      integers: owner.allocate(Math.max(1, needed.integers), "int32"),
      room: needed,
    };
  };
  // A run that has begun still reads the code and the weights.
  const freeUnread = (): void => {
    if (!closed || running > 0) return;
    if (code !== undefined) owner.free(pointer);
    release?.();
  };
  const giveBack = (arena: Arena): void => {
    running--;
    if (spare === undefined && !closed) spare = arena;
    else free(arena);
    freeUnread();
  };
  const memoryOf = (arena: Arena): PlanMemory => ({
    writeIntegers: (offset, values) => owner.write(values, arena.integers + 4 * offset),
    writeNumbers: (offset, values) => owner.write(values, arena.numbers + 4 * offset),
    readNumbers: (offset, into) => owner.read(arena.numbers + 4 * offset, into),
  });
  const variablesOf = ({ tokens, sequences }: PlanSizes, arena: Arena): Float64Array =>
    Float64Array.of(1, tokens, roundUp(tokens), sequences, roundUp(sequences + 1), arena.numbers, arena.integers);
  const start = (sizes: PlanSizes): Arena => {
    if (closed) {
      throw new ClozeError("PLAN_CLOSED", "This plan was closed", { remedy: "Compile the model again." });
    }
    const arena = arenaFor(sizes);
    running++;
    return arena;
  };
  // Native code reads these as plain memory, so they must not move: typed arrays do not.
  const pointer = code === undefined ? 0 : owner.allocate(code.length * 2, "float32");
  if (code !== undefined) owner.write(code, pointer);
  return {
    offsetOf: (place, sizes) => elements(place, sizes),
    bytes: (sizes) => 4 * (elements(numbers, sizes) + elements(integers, sizes)),
    run(sizes, before, after) {
      const arena = start(sizes);
      try {
        const memory = memoryOf(arena);
        before(memory);
        const variables = variablesOf(sizes, arena);
        if (code === undefined || runner === undefined) runCalls(owner, calls, variables);
        else {
          const at = owner.allocate(variables.length * 2, "float32");
          owner.write(variables, at);
          runner.run(pointer, code.length, at, threads);
          owner.free(at);
        }
        return after(memory);
      } finally {
        giveBack(arena);
      }
    },
    async runAsync(sizes, before, after, most = 0) {
      if (code === undefined || runner === undefined) return this.run(sizes, before, after);
      const arena = start(sizes);
      const variables = variablesOf(sizes, arena);
      const at = owner.allocate(variables.length * 2, "float32");
      try {
        const memory = memoryOf(arena);
        before(memory);
        owner.write(variables, at);
        await runner.runAsync(pointer, code.length, at, most > 0 ? most : threads);
        return after(memory);
      } finally {
        owner.free(at);
        giveBack(arena);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      if (spare !== undefined) free(spare);
      spare = undefined;
      freeUnread();
    },
  };
}
