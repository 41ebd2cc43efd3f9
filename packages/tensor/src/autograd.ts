// The backward walk: newest node first, each once, gradients summed on the way. No recursion.
import { checkNumbers, within } from "./check-numbers.js";
import { debugging } from "./debugging.js";
import { ClozeError } from "./errors.js";
import type { GraphNode } from "./graph.js";
import { enableGrad, freeSaved, graphFreed, noGrad, setDifferentiatingBackward } from "./graph.js";
import { scope } from "./memory.js";
import { add, addInPlace } from "./ops/elementwise.js";
import { formatShape, sameShape } from "./shape.js";
import { contiguousCopy, empty, ones, Tensor } from "./tensor.js";

interface WalkOptions {
  retainGraph: boolean;
  createGraph: boolean;
  /** Called with each gradient that reaches a leaf; takes the tensor over. Undefined: add to `leaf.grad`. */
  leaf?: (leaf: Tensor, gradient: Tensor) => void;
  /** Called with the summed gradient of a node's output before its rule runs; it must not take the tensor over. */
  output?: (node: GraphNode, outputIndex: number, gradient: Tensor) => void;
}

function reachable(roots: readonly Tensor[]): GraphNode[] {
  const seen = new Set<GraphNode>();
  const pending = roots.flatMap((root) => root.node ?? []);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const edge of node.edges) if (edge?.node !== undefined && !seen.has(edge.node)) pending.push(edge.node);
  }
  // A node is always newer than what it was made from, so this order is topological.
  return [...seen].sort((a, b) => b.id - a.id);
}

/** Another handle on the same data and the same place in the graph. */
function alias(x: Tensor): Tensor {
  const { shape, strides, offset, node, outputIndex } = x;
  return new Tensor({ storage: x.storage.retain(), shape, strides, offset, node, outputIndex });
}

const exclusive = (x: Tensor): boolean => x.storage.references === 1 && x.contiguous && x.size === x.storage.length;

function addGradients(a: Tensor, b: Tensor, createGraph: boolean): Tensor {
  let result: Tensor;
  if (!createGraph && exclusive(a)) {
    addInPlace(a, b);
    result = a;
  } else {
    result = add(a, b);
    a.dispose();
  }
  b.dispose();
  return result;
}

/** Adds a gradient to a leaf's `grad` and takes the tensor over. */
function accumulate(leaf: Tensor, gradient: Tensor): void {
  leaf.touchedRows = undefined;
  if (leaf.grad !== undefined) {
    addInPlace(leaf.grad, gradient);
    gradient.dispose();
    return;
  }
  leaf.grad = exclusive(gradient) ? gradient : contiguousCopy(gradient);
  if (leaf.grad !== gradient) gradient.dispose();
  leaf.grad.keep("gradients");
}

function checkGradient(operation: string, gradient: Tensor, of: { shape: readonly number[] }): void {
  if (sameShape(gradient.shape, of.shape)) return;
  throw new ClozeError("SHAPE_MISMATCH", `${operation}: a gradient has the shape of what it belongs to`, {
    expected: formatShape(of.shape),
    received: formatShape(gradient.shape),
  });
}

function walk(roots: readonly Tensor[], seeds: readonly Tensor[], options: WalkOptions): void {
  const { createGraph, retainGraph } = options;
  const pending = new Map<GraphNode, (Tensor | undefined)[]>();
  const give = (tensor: { node?: GraphNode; outputIndex: number; leaf?: Tensor }, gradient: Tensor) => {
    if (tensor.node === undefined) {
      if (tensor.leaf === undefined) gradient.dispose();
      else if (options.leaf !== undefined) options.leaf(tensor.leaf, gradient);
      else accumulate(tensor.leaf, gradient);
      return;
    }
    const slots = pending.get(tensor.node) ?? [];
    pending.set(tensor.node, slots);
    const before = slots[tensor.outputIndex];
    slots[tensor.outputIndex] = before === undefined ? gradient : addGradients(before, gradient, createGraph);
  };
  const nodes = reachable(roots);
  roots.forEach((root, i) => {
    give({ node: root.node, outputIndex: root.outputIndex, leaf: root }, alias(seeds[i]));
  });
  const mode = createGraph ? enableGrad : noGrad;
  for (const node of nodes) {
    const gradients = pending.get(node);
    pending.delete(node);
    if (gradients === undefined) continue;
    gradients.forEach((gradient, i) => {
      if (gradient !== undefined) options.output?.(node, i, gradient);
    });
    const { rule } = node;
    if (rule === undefined) throw graphFreed(node);
    if (createGraph && !node.differentiable) {
      throw new ClozeError(
        "NOT_TWICE_DIFFERENTIABLE",
        `${node.name} ran fused, and its fused backward has no derivative`,
        {
          remedy: "Run the forward pass inside composed(() => …).",
        },
      );
    }
    const written: Tensor[] = [];
    const results = scope(() => {
      const saved = node.saved.map((item) => item.restore());
      const run = () =>
        rule(gradients, {
          saved,
          needs: (input) => node.edges[input] !== undefined,
          leafGradient(input) {
            const leaf = node.edges[input]?.leaf;
            if (leaf === undefined || createGraph || options.leaf !== undefined) return undefined;
            const fresh = leaf.grad === undefined;
            leaf.grad ??= empty(leaf.shape, leaf.dtype).keep("gradients");
            if (debugging) written.push(leaf.grad);
            return { tensor: leaf.grad, fresh, leaf };
          },
        });
      return mode(debugging ? () => within(`the backward pass of ${node.name}`, run) : run);
    });
    if (debugging) checkNumbers(`The backward pass of ${node.name}`, gradients, [...results, ...written]);
    const taken = new Set<Tensor>();
    node.edges.forEach((edge, i) => {
      const result = results[i];
      if (result === undefined) return;
      if (edge === undefined) {
        if (!gradients.includes(result)) taken.add(result);
        return;
      }
      const own = gradients.includes(result) || taken.has(result) || result.kept ? alias(result) : result;
      taken.add(own);
      if (edge.leaf !== undefined) checkGradient(node.name, own, edge.leaf);
      give({ node: edge.node, outputIndex: edge.outputIndex, leaf: edge.leaf }, own);
    });
    for (const gradient of gradients) gradient?.dispose();
    if (!retainGraph) freeSaved(node);
  }
}

function seedsFor(operation: string, outputs: readonly Tensor[], gradients?: readonly Tensor[]): Tensor[] {
  return outputs.map((output, i) => {
    output.assertLive();
    const given = gradients?.[i];
    if (given !== undefined) {
      checkGradient(operation, given, output);
      return given;
    }
    if (output.size !== 1) {
      throw new ClozeError(
        "GRADIENT_NEEDED",
        `${operation} of a tensor that is not a single number needs its gradient`,
        {
          received: formatShape(output.shape),
          remedy: "Reduce it to one number first, or pass the gradient.",
        },
      );
    }
    return ones(output.shape, output.dtype);
  });
}

/**
 * Runs the backward pass from a loss and adds to the `grad` of every leaf that wants gradients. Frees what the forward
 * pass saved as it goes, unless `retainGraph`.
 *
 * @throws NO_GRAPH, GRAPH_FREED, GRADIENT_NEEDED, TENSOR_MODIFIED
 * @example
 * const w = parameter(tensor([1, 2]));
 * backward(sum(mul(w, w)));
 * w.grad?.toArray(); // [2, 4]
 */
export function backward(
  loss: Tensor,
  { gradient, retainGraph = false }: { gradient?: Tensor; retainGraph?: boolean } = {},
): void {
  if (!loss.requiresGrad) {
    throw new ClozeError("NO_GRAPH", "backward: nothing that made this tensor wants gradients", {
      remedy: "Make parameters with parameter(), and compute outside noGrad().",
    });
  }
  scope(() => {
    const seeds = seedsFor("backward", [loss], gradient === undefined ? undefined : [gradient]);
    walk([loss], seeds, { retainGraph, createGraph: false });
  });
}

export interface GradOptions {
  /** Gradients of the outputs; default 1 for outputs of one element. */
  gradients?: readonly Tensor[];
  /** Record the backward pass itself, so that its result can be differentiated again. */
  createGraph?: boolean;
  /** Keep the forward graph for another pass. Default: as `createGraph`. */
  retainGraph?: boolean;
}

/**
 * The gradients of outputs with respect to given tensors (leaves or intermediate), as new tensors; `grad` of leaves is not
 * touched. A tensor that the outputs do not depend on gets zeros.
 *
 * @throws GRAPH_FREED, NOT_TWICE_DIFFERENTIABLE (fused operations: run the forward pass inside `composed`)
 */
export function grad(outputs: readonly Tensor[], inputs: readonly Tensor[], options: GradOptions = {}): Tensor[] {
  const { createGraph = false, retainGraph = createGraph } = options;
  setDifferentiatingBackward(createGraph);
  try {
    return scope(() => {
      const found = new Map<Tensor, Tensor>();
      const collect = (input: Tensor, gradient: Tensor) => {
        const before = found.get(input);
        found.set(input, before === undefined ? gradient : addGradients(before, gradient, createGraph));
      };
      walk(outputs, seedsFor("grad", outputs, options.gradients), {
        createGraph,
        retainGraph,
        leaf: (leaf, gradient) => (inputs.includes(leaf) ? collect(leaf, gradient) : gradient.dispose()),
        output(node, outputIndex, gradient) {
          for (const input of inputs) {
            if (input.node === node && input.outputIndex === outputIndex) collect(input, alias(gradient));
          }
        },
      });
      return inputs.map((input) => {
        const gradient = found.get(input);
        if (gradient !== undefined) return gradient;
        const zero = empty(input.shape, input.dtype);
        if (zero.size > 0) zero.storage.backend.kernels.fillF32(zero.pointer, 0, zero.size);
        return zero;
      });
    });
  } finally {
    setDifferentiatingBackward(false);
  }
}
