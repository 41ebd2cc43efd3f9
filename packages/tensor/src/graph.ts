// The record of what was computed. Nodes are counted: a node lives while a tensor it made, or a node made from those,
// lives, so that memory saved for a backward pass that never comes is freed with the last tensor that needed it.
import { checkNumbers } from "./check-numbers.js";
import { debugging } from "./debugging.js";
import type { DType } from "./dtype.js";
import { ClozeError } from "./errors.js";
import type { Storage } from "./memory.js";
import type { Shape } from "./shape.js";
import { formatShape, sameShape } from "./shape.js";
import { Tensor } from "./tensor.js";

/** What the backward rule of an operation is given besides the gradients. */
export interface BackwardContext {
  /** The tensors named in `save`, in that order. */
  readonly saved: readonly Tensor[];
  /** Whether input i wants a gradient. Return undefined for those that do not. */
  needs(input: number): boolean;
  /**
   * The gradient buffer of input i when that input is a leaf: the rule may add into it directly (`fresh`: it holds
   * garbage, so write instead) and return undefined for that input. Undefined when the input is no leaf, or when a graph
   * of the backward pass is wanted.
   */
  leafGradient(input: number): { tensor: Tensor; fresh: boolean; leaf: Tensor } | undefined;
}

/** Gradients of the inputs, given those of the outputs (undefined: no gradient came). */
export type BackwardRule = (
  gradients: readonly (Tensor | undefined)[],
  context: BackwardContext,
) => readonly (Tensor | undefined)[];

/** A tensor put away for the backward pass. */
export interface SavedTensor {
  restore(): Tensor;
  release(): void;
}

/** Decides how tensors are put away between the passes: keep (default), quantise, drop and recompute. */
export type SaveHook = (tensor: Tensor, operation: string) => SavedTensor;

export interface Edge {
  readonly node: GraphNode | undefined;
  readonly outputIndex: number;
  /** Set when the input is a leaf that wants gradients. */
  readonly leaf: Tensor | undefined;
}

export interface GraphNode {
  readonly id: number;
  readonly name: string;
  /** One per input; undefined where the input wants no gradient. */
  readonly edges: (Edge | undefined)[];
  readonly outputs: readonly { shape: Shape; dtype: DType }[];
  saved: SavedTensor[];
  /** Undefined once the node was freed by a backward pass. */
  rule: BackwardRule | undefined;
  /** Makes the one output again from what was saved; see {@link Recording}. */
  readonly remake: ((saved: readonly Tensor[]) => Tensor) | undefined;
  /** True when the rule is itself made of differentiable operations. */
  readonly differentiable: boolean;
  references: number;
}

let nextId = 1;
let enabled = true;
let composing = false;
const hooks: SaveHook[] = [];

export const gradEnabled = (): boolean => enabled;

/** True inside `composed`: fused operations then run as their definition from primitives. */
export const isComposing = (): boolean => composing;

function withFlag<T>(read: () => boolean, write: (value: boolean) => void, value: boolean, body: () => T): T {
  const before = read();
  write(value);
  try {
    return body();
  } finally {
    write(before);
  }
}

/** Runs a function without recording: nothing is saved, results want no gradients. */
export const noGrad = <T>(body: () => T): T => withFlag(gradEnabled, (value) => (enabled = value), false, body);

/** Records inside `noGrad` again. */
export const enableGrad = <T>(body: () => T): T => withFlag(gradEnabled, (value) => (enabled = value), true, body);

/**
 * Runs a function with every fused operation replaced by its composed definition, which can be differentiated twice.
 * Slower; for second derivatives and for tests that hold fused against composed.
 */
export const composed = <T>(body: () => T): T => withComposing(true, body);

/** Runs a function inside `composed`, or outside of it. */
export const withComposing = <T>(value: boolean, body: () => T): T =>
  withFlag(isComposing, (flag) => (composing = flag), value, body);

/** Puts a tensor away as the operations of this moment do. */
export const saveForBackward: SaveHook = (tensor, operation) =>
  (hooks[hooks.length - 1] ?? saveByReference)(tensor, operation);

/** Runs a function with a hook on what is saved for the backward pass. */
export function withSaveHook<T>(hook: SaveHook, body: () => T): T {
  hooks.push(hook);
  try {
    return body();
  } finally {
    hooks.pop();
  }
}

/** The default hook: shares the storage, and checks at restore that nobody wrote to it. */
export function saveByReference(tensor: Tensor, operation: string): SavedTensor {
  const storage: Storage = tensor.storage.retain();
  const { shape, strides, offset } = tensor;
  const version = storage.version;
  const kind = storage.kind;
  if (kind === "scratch") storage.kind = "saved";
  return {
    restore() {
      if (storage.version !== version) {
        throw new ClozeError(
          "TENSOR_MODIFIED",
          `A tensor ${formatShape(shape)} that ${operation} saved for its backward pass was written in place`,
          {
            remedy: "Run backward() before the write, or write to a copy.",
          },
        );
      }
      return new Tensor({ storage: storage.retain(), shape, strides, offset });
    },
    release: () => {
      if (kind === "scratch" && storage.references > 1) storage.kind = "scratch";
      storage.release();
    },
  };
}

/** The node whose output a tensor is, whole and as it was made, where that node can make it again. */
function maker({ node, storage, shape, contiguous }: Tensor, saver: GraphNode): GraphNode | undefined {
  if (node?.remake === undefined || node === saver || storage.version !== 0 || !contiguous) return undefined;
  return sameShape(shape, node.outputs[0].shape) ? node : undefined;
}

/** Keeps what makes a tensor again, instead of the tensor. */
function saveRecipe(node: GraphNode): SavedTensor {
  retainNode(node);
  return {
    restore() {
      const { remake, rule, saved } = node;
      if (remake === undefined || rule === undefined) throw graphFreed(node);
      return noGrad(() => remake(saved.map((item) => item.restore())));
    },
    release: () => releaseNode(node),
  };
}

/** The error for a node that a backward pass has freed. */
export const graphFreed = ({ name }: GraphNode): ClozeError =>
  new ClozeError("GRAPH_FREED", `The graph behind ${name} was freed by an earlier backward pass`, {
    remedy: "Pass retainGraph: true to the first pass, or compute the forward pass again.",
  });

export function retainNode(node: GraphNode): void {
  node.references++;
}

/** Lets go of a node, and of those before it that nothing else holds. A loop, not a recursion: chains may be long. */
export function releaseNode(node: GraphNode): void {
  const pending = [node];
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    if (--current.references > 0) continue;
    freeSaved(current);
    for (const edge of current.edges) if (edge?.node !== undefined) pending.push(edge.node);
  }
}

/** Frees what a node saved; its rule is gone with it. */
export function freeSaved(node: GraphNode): void {
  for (const saved of node.saved) saved.release();
  node.saved = [];
  node.rule = undefined;
}

export interface Recording {
  /** The operation's name, for messages. */
  name: string;
  inputs: readonly Tensor[];
  outputs: readonly Tensor[];
  /** What the backward rule needs; inputs or outputs (or anything else). */
  save?: readonly Tensor[];
  backward: BackwardRule;
  /**
   * Makes the output again, to the last bit, from the saved tensors. An operation with one output that is quick to compute may
   * give it: operations that would save the output then keep nothing of it, and memory between the passes is saved. Not recorded.
   */
  remake?: (saved: readonly Tensor[]) => Tensor;
  /**
   * Default true: the rule is written with differentiable operations on its saved tensors and may be differentiated
   * again. False for fused operations, whose composed definition serves second derivatives.
   */
  differentiable?: boolean;
}

/** Whether an operation on these inputs must be recorded. */
export const wantsGrad = (inputs: readonly Tensor[]): boolean => enabled && inputs.some((input) => input.requiresGrad);

/**
 * Puts an operation into the graph and returns its outputs as tensors that know it. When no input wants gradients (or
 * inside `noGrad`) the outputs come back as they are and nothing is saved.
 */
export function record({
  name,
  inputs,
  outputs,
  save = [],
  backward,
  remake,
  differentiable = true,
}: Recording): Tensor[] {
  if (debugging) checkNumbers(name, inputs, outputs);
  if (!wantsGrad(inputs)) return [...outputs];
  const edges = inputs.map((input): Edge | undefined => {
    if (!input.requiresGrad) return undefined;
    if (input.node !== undefined) retainNode(input.node);
    return { node: input.node, outputIndex: input.outputIndex, leaf: input.node === undefined ? input : undefined };
  });
  const node: GraphNode = {
    id: nextId++,
    name,
    edges,
    outputs: outputs.map(({ shape, dtype }) => ({ shape, dtype })),
    saved: [],
    rule: backward,
    remake,
    differentiable,
    references: 0,
  };
  const results = outputs.map((output, outputIndex) => {
    const { shape, strides, offset } = output;
    const result = new Tensor({ storage: output.storage.retain(), shape, strides, offset, node, outputIndex });
    output.dispose();
    return result;
  });
  node.saved = save.map((tensor) => {
    const output = outputs.indexOf(tensor);
    const input = inputs.indexOf(tensor);
    const kept = output >= 0 ? results[output] : tensor;
    const made = hooks.length === 0 ? maker(kept, node) : undefined;
    const saved = made === undefined ? saveForBackward(kept, name) : saveRecipe(made);
    // Where the backward pass is differentiated again, a restored tensor must be in the graph.
    if (output < 0 && input < 0) return saved;
    return {
      release: saved.release,
      restore: () => {
        if (!differentiatingBackward) return saved.restore();
        return inGraph(saved.restore(), output >= 0 ? { node, outputIndex: output, leaf: undefined } : edges[input]);
      },
    };
  });
  return results;
}

let differentiatingBackward = false;
/** Set by the backward walk while it builds a graph of itself. */
export const setDifferentiatingBackward = (value: boolean): void => {
  differentiatingBackward = value;
};

function inGraph(tensor: Tensor, edge: Edge | undefined): Tensor {
  if (edge === undefined) return tensor;
  if (edge.leaf !== undefined) {
    tensor.dispose();
    return edge.leaf;
  }
  const { storage, shape, strides, offset } = tensor;
  const result = new Tensor({
    storage: storage.retain(),
    shape,
    strides,
    offset,
    node: edge.node,
    outputIndex: edge.outputIndex,
  });
  tensor.dispose();
  return result;
}
