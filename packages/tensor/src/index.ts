// The public surface of @cloze/tensor, by name.
export { backward, grad, type GradOptions } from "./autograd.js";
export { type Backend, backend, createNativeBackend, createReferenceBackend, type Kernels, withBackend } from "./backend/index.js";
export type { DType, TypedArray } from "./dtype.js";
export { ClozeError, type ClozeErrorDetails } from "./errors.js";
export { composed, enableGrad, gradEnabled, noGrad, type SavedTensor, type SaveHook, withSaveHook } from "./graph.js";
export { type MemoryKind, type MemoryStats, memory, scope } from "./memory.js";
export * from "./ops/elementwise.js";
export { matmul } from "./ops/matmul.js";
export { type AxisRange, broadcastTo, concat, contiguous, pad, permute, reshape, slice, sumTo, transpose } from "./ops/movement.js";
export { argmax, max, mean, min, sum, topK, variance } from "./ops/reduce.js";
export { scatterRows, take } from "./ops/rows.js";
export type { Shape } from "./shape.js";
export { empty, full, type NestedNumbers, ones, parameter, Tensor, tensor, zeros } from "./tensor.js";
