// Texts as weighted words of a vocabulary: SPLADE by a masked-language head, uniCOIL by a projection.
import { add, log, max, noGrad, relu, scope, sum, type Tensor, tensor } from "@cloze/tensor";
import type { PackedBatch } from "../../data/packed-batch.js";
import type { SparseWeighting } from "../../embedding/sparse-encoder/weighting.js";
import type { LoadedModel } from "../loaded-model.js";
import { packUnits } from "../pack-units.js";
import type { Program } from "../scheduler.js";
import { predictsTokens, readLogits } from "./masked-tokens.js";
import type { TextInput } from "./read-text.js";

/** A word of the vocabulary and what it counts for. */
export interface SparseValue {
  readonly index: number;
  readonly value: number;
}

export interface SparseAbility {
  /** The words that count, by their place in the vocabulary. */
  readonly program: Program<TextInput, readonly SparseValue[]>;
}

interface Hidden {
  readonly hidden: Float32Array;
  readonly width: number;
}

/** Weights of a sequence of a batch, by their place in the vocabulary. */
type Weigh = (batch: PackedBatch, states: Hidden, sequence: number) => Promise<Iterable<readonly [number, number]>>;

/** The tokens of a sequence that are terms, with their rows in the batch. */
function* termsOf({ tokenizer }: LoadedModel, { ids, offsets }: PackedBatch, s: number): Generator<[number, number]> {
  for (let row = offsets[s]; row < offsets[s + 1]; row++)
    if (!tokenizer.specialIds.has(ids[row])) yield [ids[row], row];
}

/** The weight of word v is the largest (or, in the first version, the sum) over tokens t of log(1 + ReLU(logits[t, v])). */
function splade(loaded: LoadedModel): Weigh {
  const summed = loaded.sparse?.settings.pooling === "sum";
  const pool = (logits: Tensor): Tensor => (summed ? sum(log(add(relu(logits), 1)), [0]) : max(logits, [0]));
  const join = summed ? (a: number, b: number) => a + b : Math.max;
  return async (batch, states, s) => {
    const rows = Int32Array.from({ length: batch.offsets[s + 1] - batch.offsets[s] }, (_, i) => batch.offsets[s] + i);
    let pooled: Float32Array | undefined; // [vocabulary]
    await readLogits(loaded, batch, states, rows, (logits) => {
      const some = pool(logits).toTypedArray() as Float32Array;
      pooled = pooled?.map((value, v) => join(value, some[v])) ?? some.slice();
    });
    // The logarithm grows, so it can wait until the largest is known. Most words weigh nothing.
    const weights: [number, number][] = [];
    pooled?.forEach((value, v) => {
      if (value > 0) weights.push([v, summed ? value : Math.log1p(value)]);
    });
    return weights;
  };
}

/** The weight of a token of the text, the largest where it occurs again. */
function unicoil(loaded: LoadedModel): Weigh {
  const projection = loaded.sparse?.settings.projection;
  return async (batch, { hidden, width }, s) => {
    const [from, to] = [batch.offsets[s], batch.offsets[s + 1]];
    const rows = hidden.slice(from * width, to * width);
    const weights = scope(() =>
      noGrad(() => projection?.forward(tensor(rows, [to - from, width])).toTypedArray() as Float32Array),
    );
    const largest = new Map<number, number>();
    for (const [term, row] of termsOf(loaded, batch, s)) {
      largest.set(term, Math.max(largest.get(term) ?? 0, weights[row - from]));
    }
    return [...largest].sort(([a], [b]) => a - b);
  };
}

const weighers: Readonly<Record<SparseWeighting["type"], (loaded: LoadedModel) => Weigh>> = { splade, unicoil };

export function sparseAbility(loaded: LoadedModel): SparseAbility | undefined {
  const { sparse, name } = loaded;
  if (sparse === undefined && !predictsTokens(loaded)) return undefined;
  const weigh = weighers[sparse?.weighting.type ?? "splade"](loaded);
  /** Queries that no model reads: each term weighs 1. */
  const isCounted = ({ role }: TextInput): boolean => role === "query" && sparse?.settings.encodeQueries === false;
  return {
    program: {
      name: `${name} embed_sparse`,
      async compute(units) {
        const read = units.filter((unit) => !isCounted(unit));
        const batch = packUnits(read);
        const compiled = loaded.compiled({ outputs: "hidden" });
        const states = {
          hidden: read.length === 0 ? new Float32Array(0) : await compiled.run(batch),
          width: compiled.width,
        };
        const results: SparseValue[][] = [];
        let sequence = 0;
        for (const unit of units) {
          const weights = isCounted(unit)
            ? [...new Set(Array.from(termsOf(loaded, packUnits([unit]), 0), ([term]) => term))]
                .sort((a, b) => a - b)
                .map((term): [number, number] => [term, 1])
            : await weigh(batch, states, sequence++);
          const values: SparseValue[] = [];
          for (const [index, value] of weights) if (value > 0) values.push({ index, value: Math.fround(value) });
          results.push(values);
        }
        return results;
      },
    },
  };
}
