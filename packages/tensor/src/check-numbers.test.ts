import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** The engine as it is with an environment; every call is a fresh copy. */
async function engine(debug: string) {
  vi.stubEnv("CLOZE_DEBUG", debug);
  vi.resetModules();
  return import("./index.js");
}

test("without CLOZE_DEBUG a NaN goes its way", async () => {
  for (const value of ["", "0"]) {
    const { log, tensor } = await engine(value);
    expect(log(tensor([-1])).toArray()).toEqual([Number.NaN]);
  }
});

test("with it, the first operation that makes one is named, and the kernels too", async () => {
  const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const { add, backend, log, mul, tensor } = await engine("1");
  const x = tensor([1, -1]);
  expect(() => log(x)).toThrow(/log gave a NaN at element 1 of \[2\].*made here/);
  expect(mul(add(x, 1), 2).toArray()).toEqual([4, 0]);
  expect(() => mul(tensor([Number.NaN]), 2)).toThrow(/mul gave a NaN.*Input 0 holds one already/);
  const lines = written.mock.calls.map(([line]) => String(line)).filter((line) => line.startsWith("cloze:"));
  expect(lines).toEqual([`cloze: ${backend().name} kernels, ${backend().isa}, ${backend().threads()} threads\n`]);
});

test("backward passes are watched as well", async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const { backward, mul, parameter, sqrt, sum, tensor } = await engine("1");
  const x = parameter(tensor([0]));
  // The root's slope at 0 is infinite; times 0 it is no number.
  const loss = sum(mul(sqrt(x), 0));
  expect(() => backward(loss)).toThrow(/mul \(in the backward pass of sqrt\) gave a NaN/);
});
