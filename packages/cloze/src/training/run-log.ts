import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { curveSvg } from "./curve.js";

/** One line of a run's log. */
export interface LogRecord {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly gradientNorm?: number;
  readonly tokensPerSecond?: number;
  readonly elapsed: number;
}

/** Writes `log.jsonl` as the run goes and `loss.svg` when asked. */
export interface RunLog {
  write(record: LogRecord): void;
  /** Draws the curve of all records so far. */
  draw(): void;
}

/** Opens a run's log in its folder. `keepUntil` drops records after that step (a resumed run writes them again). */
export function openRunLog(folder: string, keepUntil = 0): RunLog {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "log.jsonl");
  const records: LogRecord[] = [];
  if (keepUntil > 0 && existsSync(path)) {
    for (const line of readFileSync(path, "utf8").split("\n")) {
      if (line === "") continue;
      try {
        const record = JSON.parse(line) as LogRecord;
        if (record.step <= keepUntil) records.push(record);
      } catch {
        // The last line may have been cut by a crash; everything before it counts.
      }
    }
  }
  writeFileAtomic(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  return {
    write(record) {
      records.push(record);
      appendFileSync(path, `${JSON.stringify(record)}\n`);
    },
    draw: () =>
      writeFileAtomic(
        join(folder, "loss.svg"),
        curveSvg(
          "training loss",
          records.map(({ step, loss }) => ({ step, value: loss })),
        ),
      ),
  };
}
