// counter-random.h by whole vectors: the same bits, lane by lane.
#pragma once
#include "counter-random.h"
#include "simd.h"

namespace cloze::CLOZE_ISA {

typedef uint32_t vu __attribute__((vector_size(CLOZE_VECTOR_BYTES)));

// All ones in the lanes of columns [column, column + VW) that are dropped. Comparing without signs costs a vector
// instruction that older machines lack: both sides are shifted instead.
CLOZE_INLINE vi dropped_lanes(uint32_t key, uint32_t column, uint32_t threshold) {
  vu x = (reinterpret_cast<vu>(lanes()) + column) * 0x9e3779b9u + key;
  x ^= x >> 16;
  x *= 0x21f0aaadu;
  x ^= x >> 15;
  x *= 0x735a2d97u;
  x ^= x >> 15;
  const vi bits = reinterpret_cast<vi>(x ^ 0x80000000u);
  return bits < broadcast_i(static_cast<int32_t>(threshold ^ 0x80000000u));
}

}  // namespace cloze::CLOZE_ISA
