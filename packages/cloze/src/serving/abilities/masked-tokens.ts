// What a masked language model says about tokens: what stands at a mask.
import { noGrad, scope, softmax, type Tensor, tensor, topK } from "@cloze/tensor";
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

const languageHeads: readonly string[] = ["masked-language", "pretraining"];
export const predictsTokens = ({ model }: LoadedModel): boolean => languageHeads.includes(model.head.config.type);

/** Rows of logits that are held at once: each is as wide as the vocabulary. */
const rowsAtOnce = 32;

/** Rows of logits that are read at once on this thread: a few milliseconds. */
const rowsRead = 8;

/** Lets others in between two pieces of work on this thread. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Some rows of a matrix. values: [rows, width] */
function pickRows(values: Float32Array, rows: Int32Array, width: number): Float32Array {
  const picked = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    picked.set(values.subarray(row * width, (row + 1) * width), i * width);
  });
  return picked;
}

/**
 * Calls `read` with the logits of some rows at a time: by the head's plan on another thread, else by the head on this one.
 * hidden: [tokens, width] of the whole batch
 */
export async function readLogits(
  { model, rowHead }: Pick<LoadedModel, "model" | "rowHead">,
  batch: PackedBatch,
  { hidden, width }: { hidden: Float32Array; width: number },
  rows: Int32Array,
  read: (logits: Tensor, from: number) => void,
): Promise<void> {
  const readNow = (make: () => Tensor, from: number): void => scope(() => noGrad(() => read(make(), from)));
  const head = rows.length > 0 ? rowHead(rowsAtOnce) : undefined;
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    if (from > 0) await breathe();
    const some = rows.subarray(from, from + rowsAtOnce);
    const states = pickRows(hidden, some, width);
    if (head === undefined) {
      const all = Int32Array.from(some.keys());
      const forward = () => model.head.forward(tensor(states, [some.length, width]), batch, { rows: all });
      readNow(() => forward().logits as Tensor, from);
      continue;
    }
    const logits = await head.run(states);
    for (let at = 0; at < some.length; at += rowsRead) {
      if (at > 0) await breathe();
      const part = logits.subarray(at * head.width, (at + rowsRead) * head.width);
      readNow(() => tensor(part, [part.length / head.width, head.width]), from + at);
    }
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
        const compiled = loaded.compiled({ outputs: "hidden" });
        const states = { hidden: await compiled.run(batch), width: compiled.width };
        await readLogits(loaded, batch, states, rows, (logits) => {
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
