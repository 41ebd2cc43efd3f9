// Random bits as a function of (seed, row, column): a mask can be computed again instead of being stored, and does not
// depend on threads or batches. src/counter-random.ts computes the same bits.
#pragma once
#include <cstdint>

namespace cloze {

inline uint32_t mix_bits(uint32_t x) {
  x ^= x >> 16;
  x *= 0x21f0aaadu;
  x ^= x >> 15;
  x *= 0x735a2d97u;
  x ^= x >> 15;
  return x;
}

inline uint32_t row_key(uint32_t seed, uint32_t row) { return mix_bits(seed ^ mix_bits(row + 0x9e3779b9u)); }
inline uint32_t random_bits(uint32_t key, uint32_t column) { return mix_bits(key + column * 0x9e3779b9u); }

// A value is dropped when its bits are below this.
inline uint32_t drop_threshold(float rate) { return static_cast<uint32_t>(static_cast<double>(rate) * 4294967296.0); }

}  // namespace cloze
