import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { selfAttention } from "../ops/attention.js";
import { linear } from "../ops/linear.js";
import { matmul } from "../ops/matmul.js";
import { createPlanBuilder } from "../plan/builder.js";
import { randomNormal } from "../random.js";
import { tensor } from "../tensor.js";
import { wasmBackendsHere } from "../testing/index.js";
import { type Backend, createWasmBackend, withBackend } from "./index.js";
import { unshared } from "./wasm/unshared.js";
import { platform } from "./wasm/web-assembly.js";
import { createBackendOf, createMemory, importsOf } from "./wasm.js";

const backends = wasmBackendsHere();

test("both instruction sets run here", () => {
  expect(backends.map(({ name, isa }) => [name, isa])).toEqual([
    ["wasm", "wasm-relaxed"],
    ["wasm", "wasm-simd"],
  ]);
});

/** Numbers that take every path of the thread pool: several blocks, scratch memory of each thread. As bytes, to compare. */
const work = (): string => {
  const x = randomNormal([300, 96], { seed: 1 });
  const w = randomNormal([288, 96], { seed: 2 });
  const qkv = linear(x, w, undefined, { activation: "gelu" });
  const mixed = selfAttention(qkv, tensor(Int32Array.of(0, 130, 131, 300)), { heads: 3 });
  const results = [matmul(x, randomNormal([96, 500], { seed: 3 })), qkv, mixed].map((y) => y.toTypedArray());
  return results.map((y) => createHash("sha256").update(y).digest("hex")).join();
};

describe.each(backends)("$isa", (wasm: Backend) => {
  test("results do not depend on the number of threads", async () => {
    const results: string[] = [];
    for (const threads of [1, 2, 3, 1]) {
      wasm.setThreads(threads);
      expect(wasm.threads()).toBe(threads);
      // Helpers join when they have started: some of these runs have them, the first perhaps not.
      for (let i = 0; i < 3; i++) {
        results.push(withBackend(wasm, work));
        await setTimeout(30);
      }
    }
    wasm.setThreads(2);
    expect(new Set(results).size).toBe(1);
  });

  test("plans, in every kind of weights: at once, on another thread, several at a time, call by call", async () => {
    for (const weights of ["float32", "int8"] as const) {
      const plan = (composed: boolean) =>
        withBackend(wasm, () => {
          const b = createPlanBuilder({ weights });
          const x = b.take(randomNormal([20, 24], { seed: 4 }), b.inputs.ids);
          const y = b.linear(x, randomNormal([48, 24], { seed: 5 }), undefined, { activation: "gelu" });
          const qkv = b.linear(y, randomNormal([72, 48], { seed: 6 }));
          return b.build(b.pool(b.attention(qkv, { heads: 2 }), "mean"), { composed });
        });
      const [made, plain] = [plan(false), plan(true)];
      const batchOf = (tokens: number) => ({
        ids: Int32Array.from({ length: tokens }, (_, i) => (i * 7) % 20),
        segments: new Int32Array(tokens),
        positions: Int32Array.from({ length: tokens }, (_, i) => i),
        offsets: Int32Array.of(0, tokens >> 1, tokens),
      });
      const batches = [1, 9, 200, 33].map(batchOf);
      const expected = batches.map((batch) => plain.run(batch));
      expect(batches.map((batch) => made.run(batch))).toEqual(expected);
      const pending = batches.map((batch) => made.runAsync(batch));
      expect(made.run(batches[2])).toEqual(expected[2]);
      expect(await Promise.all(pending)).toEqual(expected);
      made.close();
      plain.close();
    }
  });

  test("without memory to share: the same numbers, on one thread", async () => {
    const { WebAssembly } = platform;
    if (WebAssembly === undefined) throw new Error("no WebAssembly");
    const isa = wasm.isa === "wasm-simd" ? "simd" : "relaxed";
    const bytes = readFileSync(new URL(`../../wasm/cloze-${isa}.wasm`, import.meta.url));
    const module = new WebAssembly.Module(unshared(bytes));
    const memory = createMemory(false);
    const instance = new WebAssembly.Instance(module, importsOf(memory));
    const alone = createBackendOf({ isa, module, memory, instance, threads: 4 });
    expect(alone.threads()).toBe(1);
    expect(withBackend(alone, work)).toBe(withBackend(wasm, work));
    const address = alone.allocate(1 << 22, "float32"); // grows, which makes another buffer
    alone.write(Float32Array.of(1, 2), address);
    const read = new Float32Array(2);
    alone.read(address, read);
    expect([...read]).toEqual([1, 2]);
  });
});

describe("memory", () => {
  test("blocks are aligned, keep their contents, and never overlap, in any order of requests", () => {
    const wasm = createWasmBackend("simd", 1);
    if (wasm === undefined) throw new Error("no WebAssembly");
    const step = fc.record({ free: fc.nat(), count: fc.oneof(fc.nat(40), fc.nat(5000), fc.nat(300_000)) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const live: { address: number; count: number; mark: number }[] = [];
        const check = ({ address, count, mark }: (typeof live)[number]) => {
          const ends = new Int32Array(1);
          for (const at of count > 0 ? [0, count - 1] : []) {
            wasm.read(address + 4 * at, ends);
            expect(ends[0]).toBe(mark);
          }
          wasm.free(address);
        };
        steps.forEach(({ free, count }, mark) => {
          if (live.length > 0 && free % 2 === 0) check(live.splice(free % live.length, 1)[0]);
          const address = wasm.allocate(count, "int32");
          expect(address % 64).toBe(0);
          wasm.kernels.fillI32(address, mark, count);
          live.push({ address, count, mark });
        });
        live.forEach(check);
      }),
      { numRuns: 40 },
    );
    // All of it is one free block again: as much as there is can be had at once.
    const cached = wasm.cachedBytes();
    wasm.free(wasm.allocate(Math.floor(cached / 4) - 64, "int32"));
    expect(wasm.cachedBytes()).toBe(cached);
  });

  test("where it ends, an error says so, and what was freed serves again", () => {
    const wasm = createWasmBackend("simd", 2);
    if (wasm === undefined) throw new Error("no WebAssembly");
    const full = expect.objectContaining({ code: "OUT_OF_MEMORY" });
    expect(() => wasm.allocate(2 ** 31, "float32")).toThrow(full);
    const x = withBackend(wasm, () => randomNormal([200, 64], { seed: 1 }));
    const blocks: number[] = [];
    for (let count = 2 ** 27; count >= 1; count = Math.floor(count / 2)) {
      try {
        for (;;) blocks.push(wasm.allocate(count, "float32"));
      } catch (error) {
        expect(error).toEqual(full);
      }
    }
    // A result fits into what one block gives back, but the kernel's own scratch memory does not.
    const room = blocks.pop() ?? 0;
    const { address, pointer } = { address: room, pointer: x.pointer };
    const product = (): void => wasm.kernels.linearF32(pointer, pointer, null, address, 4, 4, 64, 64, 4, 0, null, null);
    const large = (): void =>
      wasm.kernels.attentionF32(
        ...([pointer, pointer, pointer, blocks[0], blocks[1], Int32Array.of(0, 200), 1, 200, 1, 64] as const),
        ...([64, 64, 64, 64, 1, 0, 0, 0, 0, null] as const),
      );
    expect(large).toThrow(full);
    expect(large).toThrow(full);
    product();
    for (const block of blocks.slice(2)) wasm.free(block);
    large();
    const row = withBackend(wasm, () => Array.from(x.toTypedArray().subarray(0, 64)));
    const expected = row.reduce((sum, value) => sum + value * value, 0);
    const first = new Float32Array(1);
    product();
    wasm.read(address, first);
    expect(first[0]).toBeCloseTo(expected, 3);
  });

  test("float64 belongs to the reference", () => {
    expect(() => backends[0].allocate(1, "float64")).toThrow(expect.objectContaining({ code: "DTYPE_NOT_SUPPORTED" }));
  });
});
