// The plain TypeScript backend: the oracle that other backends are held against, and what runs where no native
// module fits. It is never optimised. float64 works here only.
import type { Backend } from "./contract.js";
import { attentionKernels } from "./reference/attention.js";
import { convolutionKernels } from "./reference/convolution.js";
import { coreKernels } from "./reference/core.js";
import { crfKernels } from "./reference/crf.js";
import { elementwiseKernels } from "./reference/elementwise.js";
import { embeddingKernels } from "./reference/embedding.js";
import { fourierKernels } from "./reference/fourier.js";
import { int8Kernels } from "./reference/int8.js";
import { matmulKernels } from "./reference/matmul.js";
import { createReferenceMemory } from "./reference/memory.js";
import { nearestKernels } from "./reference/nearest.js";
import { networkKernels } from "./reference/network.js";
import { optimizerKernels } from "./reference/optimizer.js";
import { quantizeKernels } from "./reference/quantize.js";
import { recurrentKernels } from "./reference/recurrent.js";
import { reduceKernels } from "./reference/reduce.js";
import { rotaryKernels } from "./reference/rotary.js";
import { sparseKernels } from "./reference/sparse.js";

export function createReferenceBackend(): Backend {
  const memory = createReferenceMemory();
  const network = networkKernels(memory);
  return {
    name: "reference",
    isa: "typescript",
    kernels: {
      ...convolutionKernels(memory),
      ...coreKernels(memory),
      ...crfKernels(memory),
      ...elementwiseKernels(memory),
      ...fourierKernels(memory),
      ...matmulKernels(memory),
      ...nearestKernels(memory),
      ...quantizeKernels(memory),
      ...recurrentKernels(memory),
      ...reduceKernels(memory),
      ...optimizerKernels(memory),
      ...network,
      ...int8Kernels(memory, network.activationF32),
      ...sparseKernels(memory, network.activationF32),
      ...rotaryKernels(memory, network),
      ...embeddingKernels(memory),
      ...attentionKernels(memory),
    },
    allocate: memory.allocate,
    free: memory.free,
    read: (address, into) => into.set(memory.array(address).subarray(0, into.length)),
    write: (from, address) => memory.array(address).set(from),
    copy: (from, to, count) => memory.array(to).set(memory.array(from).subarray(0, count)),
    trim: () => {},
    cachedBytes: () => 0,
    threads: () => 1,
    setThreads: () => {},
  };
}
