// As much of vitest as the tests of the engine use, for a page: suites are collected while modules load, and `runTests` runs
// them one after another. Expectations are vitest's own.
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from "@vitest/expect";

type Body = (...values: unknown[]) => unknown;

interface Collected {
  readonly name: string;
  readonly body: () => unknown;
  readonly after: (() => unknown)[];
}

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);
const globals = globalThis as unknown as Record<symbol, object>;
export const expect = Object.assign(
  (value: unknown, message?: string) => chai.expect(value, message),
  chai.expect,
  globals[ASYMMETRIC_MATCHERS_OBJECT],
);
globals[GLOBAL_EXPECT] = expect;
setState({ assertionCalls: 0, isExpectingAssertions: false }, expect as never);

const tests: Collected[] = [];
let names: string[] = [];
let closing: (() => unknown)[] = [];

const format = (name: string, values: readonly unknown[]): string =>
  values.reduce((text: string, value) => text.replace(/%[sidjfo]/, String(value)), name);

const retried =
  (times: number, body: Body): Body =>
  async () => {
    for (let left = times; left > 0; left--) {
      try {
        return await body();
      } catch {}
    }
    return await body();
  };

/** The forms that a test or a suite is written in. */
function forms(add: (name: string, body: () => unknown) => void) {
  const plain = (name: string, ...rest: [Body] | [{ readonly retry: number }, Body]): void => {
    const body = rest[rest.length - 1] as Body;
    add(name, rest.length === 1 ? body : retried(rest[0].retry, body));
  };
  return Object.assign(plain, {
    skip: () => {},
    skipIf: (condition: unknown) => (condition ? () => {} : plain),
    each:
      (cases: readonly unknown[]) =>
      (name: string, body: Body): void => {
        for (const one of cases) {
          const values = Array.isArray(one) ? one : [one];
          add(format(name, values), () => body(...values));
        }
      },
  });
}

export const test = forms((name, body) => tests.push({ name: [...names, name].join(" > "), body, after: closing }));
export const it = test;
export const describe = forms((name, body) => {
  const outer = [names, closing] as const;
  [names, closing] = [[...names, name], []];
  body();
  [names, closing] = outer;
});
/** Runs behind the last test of the suite that it stands in. */
export const afterAll = (body: () => unknown): void => void closing.push(body);

export interface TestReport {
  readonly passed: number;
  /** Tests that need the native module. */
  readonly skipped: readonly string[];
  readonly failed: readonly string[];
}

export async function runTests(): Promise<TestReport> {
  let passed = 0;
  const [skipped, failed]: [string[], string[]] = [[], []];
  for (const [i, { name, body, after }] of tests.entries()) {
    try {
      await body();
      passed++;
    } catch (error) {
      const { message, stack } = error as Error;
      if (message.includes("The native module is not built")) skipped.push(name);
      else failed.push(`${name}: ${message} ${stack}`);
    }
    if (tests[i + 1]?.after !== after) for (const close of after) await close();
  }
  return { passed, skipped, failed };
}
