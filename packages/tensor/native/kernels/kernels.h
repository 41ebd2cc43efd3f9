// Every kernel by family. A new family: one header here and its names in kernels.def.
// The headers declare plain functions inside namespace cloze::CLOZE_ISA; they are compiled once per instruction set.
#pragma once
#include "activation.h"
#include "attention.h"
#include "core.h"
#include "crf.h"
#include "elementwise.h"
#include "embedding.h"
#include "fourier.h"
#include "gemm.h"
#include "int8-gemm.h"
#include "reduce.h"
#include "rotary.h"
#include "sparse-gemm.h"
#include "normalize.h"
#include "optimizer.h"
#include "quantize.h"
#include "recurrent.h"
