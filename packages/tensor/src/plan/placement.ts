// Where values lie in a plan's scratch memory.
import type { PlanValue } from "./contract.js";
import type { ArenaSize } from "./plan.js";

/** Columns of each arena, so that values which do not live at the same time share them. */
export function placeValues(
  calls: readonly { readonly reads: readonly PlanValue[]; readonly writes: readonly PlanValue[] }[],
  inputs: readonly PlanValue[],
  output: PlanValue,
) {
  const lives = new Map<PlanValue, { first: number; last: number }>();
  const touch = (value: PlanValue, at: number): void => {
    const life = lives.get(value) ?? { first: at, last: at };
    lives.set(value, { first: Math.min(life.first, at), last: Math.max(life.last, at) });
  };
  calls.forEach(({ reads, writes }, i) => {
    for (const value of [...reads, ...writes]) touch(value, i);
  });
  for (const input of inputs) touch(input, -1);
  touch(output, calls.length);
  const columns = new Map<PlanValue, number>();
  const sizes = { numbers: { token: 0, sequence: 0 }, integers: { token: 0, sequence: 0 } };
  const sorted = [...lives].sort(([a], [b]) => b.width - a.width);
  for (const [value, life] of sorted) {
    const taken = [...columns]
      .filter(([other]) => {
        const o = lives.get(other);
        const together = o !== undefined && o.first <= life.last && life.first <= o.last;
        return together && other.kind === value.kind && other.per === value.per;
      })
      .map(([other, column]) => ({ from: column, to: column + other.width }))
      .sort((a, b) => a.from - b.from);
    let column = 0;
    for (const { from, to } of taken) {
      if (column + value.width <= from) break;
      column = Math.max(column, to);
    }
    columns.set(value, column);
    sizes[value.kind][value.per] = Math.max(sizes[value.kind][value.per], column + value.width);
  }
  const arena = (kind: PlanValue["kind"]): ArenaSize => ({
    perToken: sizes[kind].token,
    perSequence: sizes[kind].sequence,
  });
  return { columns, numbers: arena("numbers"), integers: arena("integers") };
}
