// Writes a plan: values that have rows for each token or sequence, and the kernel calls between them.
import { binaryCode } from "../backend/contract/elementwise.js";
import { activationCode } from "../backend/contract/network.js";
import type { Kernels } from "../backend/contract.js";
import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { copyOf } from "../ops/copy.js";
import type { Tensor } from "../tensor.js";
import { tensor } from "../tensor.js";
import type {
  PlanBatch,
  PlanBuilder,
  PlanBuilderOptions,
  PlanColumns,
  PlanInputs,
  PlanOperand,
  PlanValue,
} from "./contract.js";
import { placeValues } from "./placement.js";
import {
  type ArenaSize,
  createPlan,
  type Plan,
  type PlanArgument,
  type PlanCall,
  type PlanMemory,
  type PlanSizes,
  planArgument,
} from "./plan.js";
import { products } from "./products/index.js";
import { int4 } from "./products/int4.js";
import type { ProductTools } from "./products/product.js";

interface Recorded {
  readonly kernel: keyof Kernels;
  readonly operands: readonly PlanOperand[];
  readonly reads: readonly PlanValue[];
  readonly writes: readonly PlanValue[];
}

/**
 * Starts a plan. Matrices are copied once, into the order of the kernels, so that later changes do not matter; tables whose
 * rows are taken are shared.
 *
 * @example
 * const builder = createPlanBuilder();
 * const hidden = builder.linear(builder.take(words, builder.inputs.ids), weight, bias, { activation: "gelu" });
 * const plan = builder.build(builder.pool(hidden, "mean"));
 */
export function createPlanBuilder({ weights = "float32", threads = 0 }: PlanBuilderOptions = {}): PlanBuilder {
  const calls: Recorded[] = [];
  const owned: (() => void)[] = [];
  const { kernels } = backend();
  const value: PlanBuilder["value"] = (width, per = "token", kind = "numbers") => ({ kind, per, width });
  const inputs: PlanInputs = {
    ids: value(1, "token", "integers"),
    segments: value(1, "token", "integers"),
    positions: value(1, "token", "integers"),
    offsets: value(1, "sequence", "integers"),
  };
  let given: PlanValue | undefined;
  const call: PlanBuilder["call"] = (kernel, operands, about) => {
    const reads = about.reads.filter((value) => value !== undefined);
    calls.push({ kernel, operands, reads, writes: about.writes });
  };
  const copied = (tensor: Tensor): Tensor => {
    const copy = copyOf(tensor).keep("weights");
    owned.push(() => copy.dispose());
    return copy;
  };
  const shares = new Map<string, unknown>();
  let longest = Number.POSITIVE_INFINITY;
  const optional = (tensor: Tensor | undefined): Tensor | null => (tensor === undefined ? null : copied(tensor));
  /** Tables are large and read row by row: the plan holds on to their memory instead of copying it. */
  const shared = (table: Tensor): Tensor => {
    if (!table.contiguous) return copied(table);
    const handle = table.detach().keep();
    owned.push(() => handle.dispose());
    return handle;
  };
  const countOf = (x: PlanValue): PlanOperand => (x.per === "token" ? "tokens" : "sequences");
  const coded = new Map<PlanValue, Map<string, { codes: PlanValue; parameters: PlanValue }>>();
  const codesOf: ProductTools["codesOf"] = (x, range) => {
    const known = coded.get(x) ?? new Map();
    coded.set(x, known);
    const key = range === undefined ? "" : `${range.low} ${range.high}`;
    if (known.has(key)) return known.get(key);
    const made = { codes: value(kernels.int8RowBytes(x.width) / 4, x.per), parameters: value(2, x.per) };
    const operands = [x, made.codes, made.parameters, countOf(x), x.width];
    const about = { reads: [x], writes: [made.codes, made.parameters] };
    if (range === undefined) call("quantizeRowsF32", operands, about);
    else {
      // The range of codes covers 0, whose code is a whole number.
      const [low, high] = [Math.min(0, range.low), Math.max(0, range.high)];
      const scale = high > low ? (high - low) / 255 : 1;
      call("quantizeRowsWithinF32", [...operands, scale, Math.round(-low / scale)], about);
    }
    known.set(key, made);
    return made;
  };
  const tools: ProductTools = {
    kernels,
    call,
    value,
    own: (release) => owned.push(release),
    copied: optional,
    countOf,
    codesOf,
  };

  const builder: PlanBuilder = {
    inputs,
    weights,
    value,
    call,
    own: tools.own,
    constant: copied,
    once<T>(key: string, make: () => T): T {
      if (!shares.has(key)) shares.set(key, make());
      return shares.get(key) as T;
    },
    tokenValues(width) {
      if (given !== undefined) throw new ClozeError("INTERNAL", "A batch brings one kind of numbers for each token");
      given = value(width);
      return given;
    },
    linear(x, weight, bias, { activation = "none", residual, inputRange, weights: wanted = weights } = {}) {
      const request = { x, weight, bias, activation, residual, inputRange };
      for (const product of products[wanted]) {
        const y = product(request, tools);
        if (y !== undefined) return y;
      }
      throw new ClozeError("INTERNAL", "No way of multiplying takes this weight");
    },
    linearInt4: (x, weight, bias, { activation = "none", residual, inputRange } = {}) =>
      int4(weight, { x, bias, activation, residual, inputRange }, tools),
    layerNorm(x, weight, bias, { epsilon, residual }) {
      const y = value(x.width, x.per);
      const statistics = value(2, x.per);
      call(
        "layerNormF32",
        [x, residual ?? null, copied(weight), optional(bias), y, null, statistics, countOf(x), x.width, epsilon],
        {
          reads: [x, residual],
          writes: [y, statistics],
        },
      );
      return y;
    },
    attention(qkv, { heads, scale, causal = false, window = 0, into }) {
      const inner = qkv.width / 3;
      const size = inner / heads;
      const y = into ?? { of: value(inner), from: 0 };
      const logSums = value(heads);
      const part = (third: number): PlanColumns => ({ of: qkv, from: third * inner });
      call(
        "attentionF32",
        [
          part(0),
          part(1),
          part(2),
          y,
          logSums,
          inputs.offsets,
          "sequences",
          "tokens",
          heads,
          size,
          3 * inner,
          3 * inner,
          3 * inner,
          y.of.width,
          scale ?? 1 / Math.sqrt(size),
          Number(causal),
          window,
          0,
          0,
          null,
        ],
        { reads: [qkv, inputs.offsets], writes: [y.of, logSums] },
      );
      return y.of;
    },
    relativeAttention(qkv, { heads, scale, bias, keys, queries, span }) {
      const inner = qkv.width / 3;
      const size = inner / heads;
      const y = value(inner);
      const logSums = value(heads);
      const part = (third: number): PlanColumns => ({ of: qkv, from: third * inner });
      const tables = [bias, keys, queries].map(optional);
      const strides = [3 * inner, 3 * inner, 3 * inner, inner];
      call(
        "attentionRelativeF32",
        [
          part(0),
          part(1),
          part(2),
          y,
          logSums,
          inputs.offsets,
          "sequences",
          "tokens",
          heads,
          size,
          ...strides,
          scale ?? 1 / Math.sqrt(size),
          ...tables,
          span,
        ],
        { reads: [qkv, inputs.offsets], writes: [y, logSums] },
      );
      builder.limit(span);
      return y;
    },
    limit(tokens) {
      longest = Math.min(longest, tokens);
    },
    rotary(x, cosines, sines, places, { heads, size, interleaved = false }) {
      const [c, s] = [cosines, sines].map((table) => {
        const kept = tensor(table).keep("weights");
        owned.push(() => kept.dispose());
        return kept;
      });
      call("rotaryF32", [x, c, s, places, x, countOf(x), x.width, heads, size, Number(interleaved), 1], {
        reads: [x, places],
        writes: [x],
      });
      return x;
    },
    gate(x, activation) {
      const y = value(x.width / 2, x.per);
      call("gateF32", [activationCode[activation], x, y, countOf(x), y.width], { reads: [x], writes: [y] });
      return y;
    },
    take(table, indices) {
      const width = table.shape[1];
      const y = value(width, indices.per);
      call("takeRowsF32", [shared(table), indices, y, countOf(indices), width], {
        reads: [indices],
        writes: [y],
      });
      return y;
    },
    takeGated(table, indices, gates, gateIndices) {
      const width = table.shape[1];
      const y = value(width, indices.per);
      call("gatedRowsF32", [shared(table), indices, shared(gates), gateIndices, y, countOf(indices), width, 0, 0], {
        reads: [indices, gateIndices],
        writes: [y],
      });
      return y;
    },
    addVector(a, vector) {
      const y = value(a.width, a.per);
      const { width } = a;
      call("binaryF32", [binaryCode.add, a, copied(vector), y, countOf(a), width, width, 1, 0, 1], {
        reads: [a],
        writes: [y],
      });
      return y;
    },
    scale(a, factor) {
      const y = value(a.width, a.per);
      const one = copied(tensor([factor]));
      call("binaryF32", [binaryCode.mul, a, one, y, countOf(a), a.width, a.width, 1, 0, 0], {
        reads: [a],
        writes: [y],
      });
      return y;
    },
    add(a, b) {
      const y = value(a.width, a.per);
      const { width } = a;
      call("binaryF32", [binaryCode.add, a, b, y, countOf(a), width, width, 1, width, 1], {
        reads: [a, b],
        writes: [y],
      });
      return y;
    },
    pool(x, pooling) {
      const y = value(x.width, "sequence");
      const about = { reads: [x, inputs.offsets], writes: [y] };
      if (pooling === "first") call("takeRowsF32", [x, inputs.offsets, y, "sequences", x.width], about);
      else call("segmentSumF32", [x, inputs.offsets, y, "sequences", x.width, 1], about);
      return y;
    },
    discard() {
      for (const release of owned.splice(0)) release();
    },
    build(output, options) {
      const values = given;
      const all: PlanValue[] = [...Object.values(inputs), ...(values === undefined ? [] : [values])];
      const { columns, numbers, integers } = placeValues(calls, all, output);
      const arenas = { numbers, integers };
      const pointer = (target: PlanValue, shift: number): PlanArgument => {
        const column = columns.get(target);
        if (column === undefined) throw new ClozeError("INTERNAL", "A plan uses a value that no call writes");
        const perToken = target.per === "token" ? column : arenas[target.kind].perToken;
        return planArgument({
          one: 4 * shift,
          [target.kind]: 1,
          tokensRounded: 4 * perToken,
          ...(target.per === "sequence" ? { sequencesRounded: 4 * column } : {}),
        });
      };
      const encoded = calls.map(({ kernel, operands }): PlanCall => {
        const argument = (operand: PlanOperand): PlanArgument => {
          if (operand === null || typeof operand === "number") return operand;
          if (operand === "tokens") return planArgument({ tokens: 1 });
          if (operand === "sequences") return planArgument({ sequences: 1 });
          if ("times" in operand) {
            return planArgument({ [operand.count === "token" ? "tokens" : "sequences"]: operand.times });
          }
          if ("of" in operand) return pointer(operand.of, operand.from);
          return "per" in operand ? pointer(operand, 0) : (operand.pointer as number);
        };
        return { kernel, arguments: operands.map(argument) };
      });
      const plan: Plan = createPlan(
        { calls: encoded, numbers, integers },
        { ...options, threads, release: builder.discard },
      );
      const sizesOf = ({ ids, offsets }: PlanBatch): PlanSizes => {
        const length = offsets.reduce((most, end, s) => Math.max(most, s === 0 ? 0 : end - offsets[s - 1]), 0);
        if (length > longest) {
          throw new ClozeError("SEQUENCE_TOO_LONG", "A sequence is longer than this plan takes", {
            expected: `at most ${longest} tokens`,
            received: String(length),
          });
        }
        return { tokens: ids.length, sequences: offsets.length - 1 };
      };
      const place = (target: PlanValue): ArenaSize => {
        const column = columns.get(target) ?? 0;
        return target.per === "token"
          ? { perToken: column, perSequence: 0 }
          : { perToken: arenas[target.kind].perToken, perSequence: column };
      };
      const fill = (batch: PlanBatch, sizes: PlanSizes) => (memory: PlanMemory) => {
        for (const name of ["ids", "segments", "positions", "offsets"] as const) {
          memory.writeIntegers(plan.offsetOf(place(inputs[name]), sizes), batch[name]);
        }
        if (values === undefined) return;
        const expected = sizes.tokens * values.width;
        if (batch.values?.length !== expected) {
          throw new ClozeError("INTERNAL", "This plan takes numbers for each token", {
            expected: String(expected),
            received: String(batch.values?.length),
          });
        }
        memory.writeNumbers(plan.offsetOf(place(values), sizes), batch.values);
      };
      const read = (sizes: PlanSizes) => (memory: PlanMemory) => {
        const rows = output.per === "token" ? sizes.tokens : sizes.sequences;
        const result = new Float32Array(rows * output.width);
        if (result.length > 0) memory.readNumbers(plan.offsetOf(place(output), sizes), result);
        return result;
      };
      return {
        longest,
        valueWidth: values?.width ?? 0,
        run(batch) {
          const sizes = sizesOf(batch);
          return plan.run(sizes, fill(batch, sizes), read(sizes));
        },
        async runAsync(batch, most) {
          const sizes = sizesOf(batch);
          return plan.runAsync(sizes, fill(batch, sizes), read(sizes), most);
        },
        bytes: plan.bytes,
        close: plan.close,
      };
    },
  };
  return builder;
}
