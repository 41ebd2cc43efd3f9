// Searches that go a segment at a time: all at once, or with others let in between.

/** A search: each step looks into one segment, the last gives what was found. */
export type SearchSteps<Found> = Generator<void, Found>;

/** Milliseconds of work after which others are let in. */
const slice = 4;

/** Goes all steps. */
export function searchAtOnce<Found>(steps: SearchSteps<Found>): Found {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** Goes the same steps, and lets others in when some of them took a while. */
export async function searchInSlices<Found>(steps: SearchSteps<Found>): Promise<Found> {
  let since = performance.now();
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    if (performance.now() - since < slice) continue;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  }
}
