import { describe, expect, it } from "vitest";
import { expectClose } from "../testing/index.js";
import {
  constantSchedule,
  cosineSchedule,
  inverseSquareRootSchedule,
  linearSchedule,
  oneCycleSchedule,
  polynomialSchedule,
  type Schedule,
  warmup,
} from "./schedules.js";

const values = (schedule: Schedule, steps: readonly number[]): number[] => steps.map(schedule);

describe("schedules", () => {
  it("constant, with and without warm-up", () => {
    expect(values(constantSchedule(), [0, 1, 1e6])).toEqual([1, 1, 1]);
    expect(values(constantSchedule({ warmup: 4 }), [0, 1, 3, 4, 99])).toEqual([0, 0.25, 0.75, 1, 1]);
    expect(
      values(
        warmup(2, (step) => step),
        [0, 1, 2, 3],
      ),
    ).toEqual([0, 0.5, 2, 3]);
  });
  it("linear", () => {
    const schedule = linearSchedule({ warmup: 2, total: 10 });
    expectClose(values(schedule, [0, 1, 2, 6, 10, 11]), [0, 0.5, 1, 0.5, 0, 0], 1e-12);
    expectClose(values(linearSchedule({ total: 4, final: 0.2 }), [0, 2, 4, 9]), [1, 0.6, 0.2, 0.2], 1e-12);
  });
  it("cosine", () => {
    const schedule = cosineSchedule({ warmup: 2, total: 10 });
    expectClose(
      values(schedule, [2, 4, 6, 8, 10, 20]),
      [1, (1 + Math.SQRT1_2) / 2, 0.5, (1 - Math.SQRT1_2) / 2, 0, 0],
      1e-12,
    );
    expectClose(values(cosineSchedule({ total: 8, cycles: 1 }), [0, 2, 4, 6, 8]), [1, 0.5, 0, 0.5, 1], 1e-12);
  });
  it("polynomial, cubic by default", () => {
    expectClose(values(polynomialSchedule({ total: 4 }), [0, 1, 2, 4]), [1, 27 / 64, 1 / 8, 0], 1e-12);
    expectClose(values(polynomialSchedule({ total: 4, power: 1, final: 0.5 }), [0, 2, 4]), [1, 0.75, 0.5], 1e-12);
  });
  it("inverse square root", () => {
    const schedule = inverseSquareRootSchedule({ warmup: 100 });
    expectClose(values(schedule, [0, 50, 100, 400, 10_000]), [0, 0.5, 1, 0.5, 0.1], 1e-12);
    expectClose(values(inverseSquareRootSchedule(), [0, 30_000]), [1, 0.5], 1e-12);
  });
  it("one cycle, with PyTorch's numbers", () => {
    // torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10): cosine between 1/25, 1 and 1/25/10000.
    const schedule = oneCycleSchedule({ total: 10 });
    expectClose(values(schedule, [0, 1, 2, 9, 10]), [0.04, 0.52, 1, 4e-6, 4e-6], 1e-9);
    const half = 4e-6 + ((1 - 4e-6) / 2) * (1 + Math.cos((Math.PI * 3) / 7));
    expect(schedule(5)).toBeCloseTo(half, 10);
    expectClose(values(oneCycleSchedule({ total: 11, rise: 0.6, shape: "linear" }), [0, 10]), [0.04, 4e-6], 1e-9);
  });
  it("gives numbers everywhere, also where phases are empty", () => {
    for (const total of [0, 1, 2, 3, 10]) {
      for (const warm of [0, 1, 3, 12]) {
        const all = [
          linearSchedule({ total, warmup: warm }),
          cosineSchedule({ total, warmup: warm }),
          polynomialSchedule({ total, warmup: warm }),
          inverseSquareRootSchedule({ warmup: warm }),
        ];
        for (const rise of [0, 0.1, 0.5, 1]) {
          if (total > 0)
            all.push(oneCycleSchedule({ total, rise }), oneCycleSchedule({ total, rise, shape: "linear" }));
        }
        for (const schedule of all) {
          for (let step = 0; step < 15; step++) {
            expect(schedule(step)).toBeGreaterThanOrEqual(0);
            expect(schedule(step)).toBeLessThanOrEqual(1);
          }
        }
      }
    }
  });
  it("refuses numbers that make no schedule", () => {
    const invalid = expect.objectContaining({ code: "INVALID_OPTION" });
    expect(() => linearSchedule({ total: -1 })).toThrow(invalid);
    expect(() => warmup(Number.NaN)).toThrow(invalid);
    expect(() => oneCycleSchedule({ total: 0 })).toThrow(invalid);
    expect(() => inverseSquareRootSchedule({ timescale: 0 })).toThrow(invalid);
    expect(() => oneCycleSchedule({ total: 5, rise: 2 })).toThrow(invalid);
  });
});
