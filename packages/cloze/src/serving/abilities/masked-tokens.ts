// What a masked language model says about tokens: what stands at a mask, and which words a text is about.
import { max, noGrad, scope, softmax, type Tensor, tensor, topK } from "@cloze/tensor";
import type { PackedBatch } from "../../data/packed-batch.js";
import type { MaskPrediction } from "../../tasks/fill-mask.js";
import type { SequenceUnit } from "../encode-input.js";
import type { LoadedModel } from "../loaded-model.js";
import { packUnits } from "../pack-units.js";
import type { Program } from "../scheduler.js";

/** A sequence with masks. */
export interface MaskUnit extends SequenceUnit {
  /** Predictions for each mask. */
  readonly top: number;
}

export interface MaskAbility {
  /** The best predictions of each mask of a unit, best first. */
  readonly program: Program<MaskUnit, readonly (readonly MaskPrediction[])[]>;
}

/** A word of the vocabulary and what it counts for. */
export interface SparseValue {
  readonly index: number;
  readonly value: number;
}

export interface SparseAbility {
  /** The words that count, by their place in the vocabulary. */
  readonly program: Program<SequenceUnit, readonly SparseValue[]>;
}

const languageHeads: readonly string[] = ["masked-language", "pretraining"];
const predictsTokens = ({ model }: LoadedModel): boolean => languageHeads.includes(model.head.config.type);

/** Rows of logits that are held at once: each is as wide as the vocabulary. */
const rowsAtOnce = 32;

/** Lets others in between two pieces of work on this thread. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Hidden states of a batch, then `read` of the logits of some rows at a time. */
async function readLogits(
  loaded: LoadedModel,
  batch: PackedBatch,
  rows: Int32Array,
  read: (logits: Tensor, from: number) => void,
): Promise<void> {
  const compiled = loaded.compiled({ outputs: "hidden" });
  const hidden = await compiled.run(batch);
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    if (from > 0) await breathe();
    const some = rows.subarray(from, from + rowsAtOnce);
    scope(() =>
      noGrad(() => {
        const states = new Float32Array(some.length * compiled.width);
        some.forEach((row, i) => {
          states.set(hidden.subarray(row * compiled.width, (row + 1) * compiled.width), i * compiled.width);
        });
        const all = Int32Array.from(some.keys());
        const { logits } = loaded.model.head.forward(tensor(states, [some.length, compiled.width]), batch, {
          rows: all,
        });
        read(logits as Tensor, from);
      }),
    );
  }
}

export function maskAbility(loaded: LoadedModel): MaskAbility | undefined {
  const { tokenizer, name } = loaded;
  const { mask } = tokenizer.roles;
  if (!predictsTokens(loaded) || mask === undefined) return undefined;
  return {
    program: {
      name: `${name} fill-mask`,
      async compute(units) {
        const batch = packUnits(units);
        const rows = Int32Array.from(Array.from(batch.ids.keys()).filter((i) => batch.ids[i] === mask));
        const top = Math.max(...units.map((unit) => unit.top));
        const found: MaskPrediction[][] = [];
        await readLogits(loaded, batch, rows, (logits) => {
          const best = topK(softmax(logits), top);
          const [values, indices] = [best.values.toTypedArray(), best.indices.toTypedArray()];
          const count = best.values.shape[1];
          for (let at = 0; at < values.length; at += count) {
            found.push(
              Array.from({ length: count }, (_, place): MaskPrediction => {
                const id = indices[at + place];
                return { token: tokenizer.idToToken(id) ?? "", id, probability: values[at + place] };
              }),
            );
          }
        });
        return units.map((unit, s) =>
          found
            .filter((_, i) => rows[i] >= batch.offsets[s] && rows[i] < batch.offsets[s + 1])
            .map((predictions) => predictions.slice(0, unit.top)),
        );
      },
    },
  };
}

/** SPLADE (arXiv 2109.10086): the weight of word v is max over tokens t of log(1 + relu(logits[t, v])). */
export function sparseAbility(loaded: LoadedModel): SparseAbility | undefined {
  if (!predictsTokens(loaded)) return undefined;
  return {
    program: {
      name: `${loaded.name} embed_sparse`,
      async compute(units) {
        const results: SparseValue[][] = [];
        for (const unit of units) {
          const batch = packUnits([unit]);
          let largest: Float32Array | undefined; // [vocabulary]
          await readLogits(loaded, batch, Int32Array.from(batch.ids.keys()), (logits) => {
            const some = max(logits, [0]).toTypedArray() as Float32Array;
            largest = largest?.map((value, v) => Math.max(value, some[v])) ?? some.slice();
          });
          const values: SparseValue[] = [];
          // The logarithm grows, so it can wait until the largest is known.
          largest?.forEach((value, index) => {
            if (value > 0) values.push({ index, value: Math.fround(Math.log1p(value)) });
          });
          results.push(values);
        }
        return results;
      },
    },
  };
}
