// The public surface of @cloze/tensor, by name.
export { backward, type GradOptions, grad } from "./autograd.js";
export type { ActivationName } from "./backend/contract/network.js";
export {
  type Backend,
  backend,
  createNativeBackend,
  createReferenceBackend,
  createWasmBackend,
  fetchWasm,
  type Kernels,
  withBackend,
} from "./backend/index.js";
export { checkpoint } from "./checkpoint.js";
export type { DType, TypedArray } from "./dtype.js";
export { ClozeError, type ClozeErrorDetails } from "./errors.js";
export { files, holdFiles, paths } from "./files.js";
export { composed, enableGrad, gradEnabled, noGrad, type SavedTensor, type SaveHook, withSaveHook } from "./graph.js";
export { hessianVectorProduct } from "./hessian.js";
export { removeDrafts, writeFileAtomic, writeFileAtomicAsync } from "./io/atomic.js";
export { readSafetensors, type SafetensorsFile, type SafetensorsInfo, writeSafetensors } from "./io/safetensors.js";
export { type LinearCrossEntropyOptions, linearCrossEntropy, type RowLoss } from "./linear-cross-entropy.js";
export { type MemoryKind, type MemoryStats, memory, scope } from "./memory.js";
export { activation, gelu, geluTanh, silu } from "./ops/activation.js";
export { type AttentionOptions, attention, selfAttention } from "./ops/attention.js";
export { type NormalizedColumns, normalizeColumns } from "./ops/batch-norm.js";
export { type ConvolutionOptions, conv1d, conv2d } from "./ops/convolution.js";
export { copyInto, copyOf } from "./ops/copy.js";
export { crfLogPartition, crfLoss } from "./ops/crf.js";
export { dropout } from "./ops/dropout.js";
export * from "./ops/elementwise.js";
export { fft, irfft, rfft, type Spectrum } from "./ops/fourier.js";
export { type LinearOptions, linear } from "./ops/linear.js";
export { type LinearSegmentMaxOptions, linearSegmentMax } from "./ops/linear-segment-max.js";
export {
  binaryCrossEntropy,
  type CrossEntropyOptions,
  crossEntropy,
  meanSquaredError,
  type Reduction,
} from "./ops/loss.js";
export { matmul } from "./ops/matmul.js";
export {
  type AxisRange,
  broadcastTo,
  concat,
  contiguous,
  pad,
  permute,
  reshape,
  slice,
  sumTo,
  transpose,
} from "./ops/movement.js";
export { type LayerNormOptions, layerNorm, rmsNorm } from "./ops/norm.js";
export { packWeights } from "./ops/packed-weights.js";
export {
  dequantizeInt8,
  fromBfloat16,
  type Int8Codes,
  type Int8Options,
  quantizeInt8,
  toBfloat16,
} from "./ops/quantize.js";
export { gru, lstm, type RecurrentOptions } from "./ops/recurrent.js";
export { argmax, max, mean, min, sum, topK, variance } from "./ops/reduce.js";
export { gate, type RotaryOptions, rotary } from "./ops/rotary.js";
export { type GatedRowsOptions, scatterRows, take, takeGated } from "./ops/rows.js";
export { segmentMax, segmentMean, segmentSum } from "./ops/segment.js";
export { logSoftmax, logSumExp, softmax } from "./ops/softmax.js";
export { cumulativeSum, sort } from "./ops/sort.js";
export { type AdafactorOptions, createAdafactor } from "./optim/adafactor.js";
export { type AdamWOptions, createAdamW } from "./optim/adamw.js";
export { type ClipOptions, clipFactor, clipGradientNorm, gradientNorm } from "./optim/clip.js";
export { createLamb, type LambOptions } from "./optim/lamb.js";
export { decayGroups, type Optimizer, type ParameterGroup } from "./optim/optimizer.js";
export * from "./optim/schedules.js";
export { createSgd, type SgdOptions } from "./optim/sgd.js";
export { createPlanBuilder } from "./plan/builder.js";
export type {
  BatchPlan,
  InputRange,
  PlanAttentionOptions,
  PlanBatch,
  PlanBuilder,
  PlanColumns,
  PlanCount,
  PlanLinearOptions,
  PlanOperand,
  PlanRelativeOptions,
  PlanValue,
} from "./plan/contract.js";
export { type PlanConvolutionOptions, type PlanTaps, planConvolution } from "./plan/convolution.js";
export { planFourierMix } from "./plan/fourier.js";
export { createNearest, type Nearest, type NearestHit, type RowKind } from "./plan/nearest.js";
export type { PlanSizes } from "./plan/plan.js";
export { planActivation, planMultiply, planSoftmax } from "./plan/pointwise.js";
export type { PlanWeights } from "./plan/products/index.js";
export type { Int4Weight } from "./plan/products/int4.js";
export {
  disposeSteps,
  findSteps,
  type SparseSteps,
  type StepForm,
  storeSteps,
} from "./plan/sparse-int8-weight.js";
export { type BlockHeight, disposeBlocks, findBlocks, type SparseBlocks, storeBlocks } from "./plan/sparse-weight.js";
export {
  createRandom,
  type Random,
  type RandomState,
  type RandomTensorOptions,
  randomNormal,
  randomUniform,
  truncatedNormal,
} from "./random.js";
export { type Shape, sameShape } from "./shape.js";
export { empty, full, type NestedNumbers, ones, parameter, Tensor, tensor, zeros } from "./tensor.js";
