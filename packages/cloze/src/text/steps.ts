// Long work in steps: all at once, or with others let in between.

/** Work that may stop between two steps; the last gives what came of it. */
export type Steps<Result> = Generator<void, Result>;

/** Milliseconds of work after which others are let in. */
const slice = 4;

/** Goes all steps. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** Goes the same steps, and lets others in when some of them took a while. @param worked told of milliseconds of work */
export async function inSlices<Result>(
  steps: Steps<Result>,
  { signal, worked }: { signal?: AbortSignal; worked?: (milliseconds: number) => void } = {},
): Promise<Result> {
  let since = performance.now();
  for (;;) {
    const { done, value } = steps.next();
    const spent = performance.now() - since;
    if (done === true) {
      worked?.(spent);
      return value;
    }
    if (spent < slice) continue;
    worked?.(spent);
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    since = performance.now();
  }
}
