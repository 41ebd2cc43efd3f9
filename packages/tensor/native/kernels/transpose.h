// Transposition in registers.
#pragma once
#include <utility>

#include "../simd.h"

namespace cloze::CLOZE_ISA {

struct InterleaveLow {  // within each four lanes: a0 b0 a1 b1
  static constexpr int at(int j) { return (j / 4) * 4 + (j % 4) / 2 + (j % 2) * VW; }
};
struct InterleaveHigh {  // a2 b2 a3 b3
  static constexpr int at(int j) { return (j / 4) * 4 + 2 + (j % 4) / 2 + (j % 2) * VW; }
};
struct PairLow {  // within each four lanes: a0 a1 b0 b1
  static constexpr int at(int j) { return (j / 4) * 4 + j % 2 + ((j % 4) / 2) * VW; }
};
struct PairHigh {
  static constexpr int at(int j) { return (j / 4) * 4 + 2 + j % 2 + ((j % 4) / 2) * VW; }
};
template <int S>
struct BlockLow {  // blocks of S lanes: a's even ones, b's even ones in the odd places
  static constexpr int at(int j) { return (j & S) ? j - S + VW : j; }
};
template <int S>
struct BlockHigh {
  static constexpr int at(int j) { return (j & S) ? j + VW : j + S; }
};

template <class Pattern, int... J>
CLOZE_INLINE vf shuffle(vf a, vf b, std::integer_sequence<int, J...>) {
  return __builtin_shufflevector(a, b, Pattern::at(J)...);
}
template <class Pattern>
CLOZE_INLINE vf shuffle(vf a, vf b) {
  return shuffle<Pattern>(a, b, std::make_integer_sequence<int, VW>{});
}

template <int S>
CLOZE_INLINE void exchange_blocks(vf* r) {
  if constexpr (S < VW) {
#pragma GCC unroll 16
    for (int i = 0; i < VW; ++i) {
      if (i & S) continue;
      const vf a = r[i];
      const vf b = r[i + S];
      r[i] = shuffle<BlockLow<S>>(a, b);
      r[i + S] = shuffle<BlockHigh<S>>(a, b);
    }
    exchange_blocks<2 * S>(r);
  }
}

// r[i][j] and r[j][i] change places.
CLOZE_INLINE void transpose(vf* r) {
#pragma GCC unroll 4
  for (int i = 0; i < VW; i += 4) {
    const vf ab_low = shuffle<InterleaveLow>(r[i], r[i + 1]);
    const vf ab_high = shuffle<InterleaveHigh>(r[i], r[i + 1]);
    const vf cd_low = shuffle<InterleaveLow>(r[i + 2], r[i + 3]);
    const vf cd_high = shuffle<InterleaveHigh>(r[i + 2], r[i + 3]);
    r[i] = shuffle<PairLow>(ab_low, cd_low);
    r[i + 1] = shuffle<PairHigh>(ab_low, cd_low);
    r[i + 2] = shuffle<PairLow>(ab_high, cd_high);
    r[i + 3] = shuffle<PairHigh>(ab_high, cd_high);
  }
  exchange_blocks<4>(r);
}

}  // namespace cloze::CLOZE_ISA
