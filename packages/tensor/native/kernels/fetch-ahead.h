// Weights come from memory, which takes longer to answer than a step of a product takes. So while a panel of packed weights is
// multiplied, its tiles fetch the next one into the second-level cache, a few lines at a time; and so do results, where they
// will be written.
#pragma once
#include <cstdint>

#include "../simd.h"

namespace cloze::CLOZE_ISA {

constexpr int cache_line = 64;  // bytes

// What a tile fetches in each round of its loop: `lines`, one after another.
struct Ahead {
  const char* from = nullptr;
  int lines = 0;
};

CLOZE_INLINE void fetch_ahead(Ahead& ahead) {
  for (int i = 0; i < ahead.lines; ++i) {
    __builtin_prefetch(ahead.from, 0, 2);
    ahead.from += cache_line;
  }
}

// Rows [rows, columns] from `place` on of results, `ld` apart, and of what is added to them (or null): asked for before their sums
// are computed, they are there when these are done.
CLOZE_INLINE void fetch_results(const float* results, const float* residual, int64_t place, int64_t ld, int64_t rows,
                                int64_t columns) {
  constexpr int64_t line = cache_line / sizeof(float);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; j += line) {
      const int64_t at = place + i * ld + j;
      __builtin_prefetch(results + at, 1);
      if (residual) __builtin_prefetch(residual + at);
    }
  }
}

// How the tiles of a panel share this out: evenly, since memory answers so many requests at a time, and tiles that ask for more wait
// while others ask for none. Where none fetched the panel itself, the first tile does so, shortly before it reads.
class FetchPlan {
 public:
  // `next` is null where there is none; a tile passes `rounds` times over `lines_of_round` lines of its panel.
  FetchPlan(const void* panel, bool fetched, const void* next, int64_t rounds, int lines_of_round, int64_t tiles)
      : own_(fetched ? nullptr : static_cast<const char*>(panel) + distance),
        next_(static_cast<const char*>(next)),
        lines_of_round_(lines_of_round),
        tiles_(next ? (fetched ? tiles : tiles - 1) : 0),
        line_bytes_(rounds * cache_line) {}
  FetchPlan() = default;

  bool fetches_next() const { return tiles_ > 0; }
  Ahead of_tile(int64_t tile) const {
    if (own_ && tile-- == 0) return {own_, lines_of_round_};
    if (!fetches_next()) return {};
    const int64_t first = lines_of_round_ * tile / tiles_, last = lines_of_round_ * (tile + 1) / tiles_;
    return {next_ + first * line_bytes_, static_cast<int>(last - first)};
  }

 private:
  static constexpr int64_t distance = 8192;  // bytes; they take a tile about as long as memory takes

  const char* own_ = nullptr;
  const char* next_ = nullptr;
  int lines_of_round_ = 0;
  int64_t tiles_ = 0;       // that fetch the next panel
  int64_t line_bytes_ = 0;  // of one line in each round
};

}  // namespace cloze::CLOZE_ISA
