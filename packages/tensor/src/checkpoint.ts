// Gradient checkpointing (arXiv 1604.06174): less is kept between the passes, and computed again when it is needed.
import { ClozeError } from "./errors.js";
import {
  enableGrad,
  gradEnabled,
  isComposing,
  type SavedTensor,
  saveByReference,
  saveForBackward,
  withComposing,
  withSaveHook,
} from "./graph.js";
import { scope } from "./memory.js";
import { formatShape, type Shape } from "./shape.js";
import type { Tensor } from "./tensor.js";

/** What an operation of the body would have kept. */
interface Slot {
  readonly operation: string;
  readonly shape: Shape;
  /** Present from the recomputation until it is released. */
  again: SavedTensor | undefined;
  released: boolean;
}

const changed = (expected: string, received: string): ClozeError =>
  new ClozeError("CHECKPOINT_CHANGED", "checkpoint: the body did something else when it ran again", {
    expected,
    received,
    remedy: "Let the body depend on its inputs and on parameters alone; random choices need a fixed seed.",
  });

/**
 * Runs a function without keeping what its backward pass needs: it runs again when the first gradient arrives. Results and
 * gradients are the same to the last bit, as long as the body does the same both times (dropout by a seed does). Of the body
 * only its inputs and the parameters are kept in the meantime. Calls may nest.
 *
 * Other tensors that the body takes from outside must live until the backward pass: give them as inputs.
 *
 * @throws CHECKPOINT_CHANGED in the backward pass
 * @example
 * const y = checkpoint((x) => layer(x), [x]);
 */
export function checkpoint<T extends Tensor | readonly Tensor[]>(
  body: (...inputs: Tensor[]) => T,
  inputs: readonly Tensor[],
): T {
  if (!gradEnabled()) return scope(() => body(...inputs));
  const slots: Slot[] = [];
  const composing = isComposing();
  let sealed = false;
  let live = 0;
  // By the hook around: a checkpoint inside another one keeps not even its inputs.
  const kept = inputs.map((input) => ({ saved: saveForBackward(input, "checkpoint"), wanted: input.requiresGrad }));
  const finish = () => {
    if (sealed && live === 0) for (const { saved } of kept.splice(0)) saved.release();
  };

  function runAgain(): void {
    let next = 0;
    const hook = (tensor: Tensor, operation: string): SavedTensor => {
      const place = next++;
      const slot = slots[place];
      if (slot?.operation !== operation || formatShape(slot.shape) !== formatShape(tensor.shape)) {
        throw changed(
          slot === undefined ? `${slots.length} saved tensors` : `${slot.operation} ${formatShape(slot.shape)}`,
          `${operation} ${formatShape(tensor.shape)}`,
        );
      }
      if (!slot.released) slot.again = saveByReference(tensor, operation);
      // The graph of this run is thrown away; the slot alone holds the tensor.
      return { restore: () => tensor, release: () => {} };
    };
    scope(() => {
      const again = kept.map(({ saved, wanted }) => {
        const restored = saved.restore();
        return wanted ? restored.detach().requireGrad() : restored;
      });
      enableGrad(() => withComposing(composing, () => withSaveHook(hook, () => body(...again))));
      if (next !== slots.length) throw changed(`${slots.length} saved tensors`, String(next));
    });
  }

  const drop = (tensor: Tensor, operation: string): SavedTensor => {
    const slot: Slot = { operation, shape: tensor.shape, again: undefined, released: false };
    slots.push(slot);
    live++;
    return {
      restore() {
        if (slot.again === undefined) runAgain();
        return (slot.again as unknown as SavedTensor).restore();
      },
      release() {
        if (slot.released) return;
        slot.released = true;
        slot.again?.release();
        slot.again = undefined;
        live--;
        finish();
      },
    };
  };

  try {
    return withSaveHook(drop, () => scope(() => body(...inputs)));
  } finally {
    sealed = true;
    finish();
  }
}
