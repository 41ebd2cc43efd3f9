// Queries are packed as the columns of a matrix product; a block of rows at a time runs down them, and its products are
// held against the k-th best of each query, a vector of queries at a time: hardly any passes once a few thousand rows are
// done. Every task has lists of its own, which are merged at the end.
#include "nearest.h"

#include <cstring>

#include "../simd.h"
#include "../thread-pool.h"
#include "gemm-kernel.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int64_t block_rows = 4 * tile_rows;
constexpr int64_t tasks_most = 16;
constexpr int64_t task_rows = 4096;  // fewer rows are not worth another list
constexpr int lines_of_round = 2;    // that a tile fetches ahead
constexpr int slot_block = 2;
constexpr int slot_shared = 3;

constexpr float minus_infinity = -__builtin_inff();

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// The k best of one query: a heap whose root is the worst. Of equal scores the higher id is worse.
struct List {
  float* scores;
  int32_t* ids;
  int64_t k;

  bool worse(int64_t a, int64_t b) const {
    return scores[a] < scores[b] || (scores[a] == scores[b] && static_cast<uint32_t>(ids[a]) > static_cast<uint32_t>(ids[b]));
  }
  // Puts an element in place of the root, if it is better.
  void offer(float score, int32_t id) {
    if (!(score > scores[0] || (score == scores[0] && static_cast<uint32_t>(id) < static_cast<uint32_t>(ids[0])))) return;
    scores[0] = score;
    ids[0] = id;
    sink(0, k);
  }
  void sink(int64_t at, int64_t size) {
    for (;;) {
      const int64_t left = 2 * at + 1;
      if (left >= size) return;
      const int64_t child = left + 1 < size && worse(left + 1, left) ? left + 1 : left;
      if (!worse(child, at)) return;
      exchange(child, at);
      at = child;
    }
  }
  void exchange(int64_t a, int64_t b) {
    const float score = scores[a];
    const int32_t id = ids[a];
    scores[a] = scores[b];
    ids[a] = ids[b];
    scores[b] = score;
    ids[b] = id;
  }
  void build() {
    for (int64_t at = k / 2 - 1; at >= 0; --at) sink(at, k);
  }
  // Best first.
  void sort() {
    for (int64_t size = k - 1; size > 0; --size) {
      exchange(0, size);
      sink(0, size);
    }
  }
};

// Whether any lane of x is above its bound.
CLOZE_INLINE bool any_above(vf x, vf bound) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(x), reinterpret_cast<__m512>(bound), _CMP_GT_OQ) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_cmp_ps(reinterpret_cast<__m256>(x), reinterpret_cast<__m256>(bound), _CMP_GT_OQ)) != 0;
#else
  const vi above = x > bound;
  int32_t any = 0;
  for (int j = 0; j < VW; ++j) any |= above[j];
  return any != 0;
#endif
}

// Rows [row, row + height) as numbers; float32 rows are used where they lie.
const float* decode(int32_t kind, const char* rows, int64_t row_bytes, int64_t height, int64_t width, float* into) {
  if (kind == 0) return reinterpret_cast<const float*>(rows);
  const float size = 1.0f / __builtin_sqrtf(static_cast<float>(width));
  for (int64_t r = 0; r < height; ++r) {
    const char* row = rows + r * row_bytes;
    float* to = into + r * width;
    if (kind == 1) {
      float scale;
      std::memcpy(&scale, row, sizeof scale);
      const auto* codes = reinterpret_cast<const int8_t*>(row + 4);
      for (int64_t c = 0; c < width; ++c) to[c] = scale * static_cast<float>(codes[c]);
    } else {
      const auto* bits = reinterpret_cast<const uint8_t*>(row);
      for (int64_t c = 0; c < width; ++c) to[c] = (bits[c >> 3] >> (c & 7)) & 1 ? size : -size;
    }
  }
  return into;
}

}  // namespace

void nearest_rows(int32_t kind, const void* rows, int64_t row_bytes, const void* skip, const float* query, float* scores,
                  int32_t* ids, int64_t count, int64_t first, int64_t queries, int64_t width, int64_t k) {
  if (count <= 0 || queries <= 0 || k <= 0) return;
  const int64_t vectors = divide_up(queries, VW);
  const int64_t panels = divide_up(vectors, tile_vectors);
  const int64_t columns = panels * tile_columns;
  const int64_t tasks = least(count / task_rows + 1, tasks_most);
  // Shared: packed queries, then the lists of each task.
  const int64_t packed_elements = divide_up(panels * width * tile_columns + VW, 16) * 16;
  const int64_t list_elements = divide_up(queries * k, 16) * 16;
  float* const packed =
      thread_scratch(0, static_cast<size_t>(packed_elements + 2 * tasks * list_elements) * sizeof(float), slot_shared);
  for (int64_t p = 0; p < panels; ++p) {
    const int64_t from = p * tile_columns;
    const int held = static_cast<int>(least(tile_columns, queries - from));
    pack_panel(packed + p * width * tile_columns, tile_columns, held, width, query + from * width, width, 1);
  }
  float* const lists = packed + packed_elements;
  const auto scores_of = [&](int64_t task) { return lists + 2 * task * list_elements; };
  const auto ids_of = [&](int64_t task) { return reinterpret_cast<int32_t*>(lists + (2 * task + 1) * list_elements); };
  const auto* skipped = static_cast<const uint8_t*>(skip);
  const auto* bytes = static_cast<const char*>(rows);

  parallel(tasks, [&](int64_t task, int thread) {
    float* const own_scores = scores_of(task);
    int32_t* const own_ids = ids_of(task);
    for (int64_t i = 0; i < queries * k; ++i) {
      own_scores[i] = minus_infinity;
      own_ids[i] = -1;
    }
    const int64_t row_elements = kind == 0 ? 0 : block_rows * width;
    float* const products = thread_scratch(
        thread, static_cast<size_t>(block_rows * columns + columns + row_elements + VW) * sizeof(float), slot_block);
    float* const thresholds = products + block_rows * columns;
    float* const decoded = thresholds + columns;
    for (int64_t c = 0; c < columns; ++c)
      thresholds[c] = c < queries ? minus_infinity : -minus_infinity;
    const int64_t fetched_by_tile = divide_up(width, unrolled) * lines_of_round * cache_line;
    const int64_t end = count * (task + 1) / tasks;
    for (int64_t row = count * task / tasks; row < end; row += block_rows) {
      const int64_t height = least(block_rows, end - row);
      const float* a = decode(kind, bytes + row * row_bytes, row_bytes, height, width, decoded);
      // A tile reads several rows side by side, which the processor foresees badly: so the next block comes line after line.
      const char* ahead = bytes + (row + height) * row_bytes;
      const char* const ahead_end = kind == 0 ? ahead + least(block_rows, end - row - height) * row_bytes : ahead;
      for (int64_t p = 0; p < panels; ++p) {
        const int used = static_cast<int>(least(tile_vectors, vectors - p * tile_vectors));
        const float* b = packed + p * width * tile_columns;
        for (int64_t t = 0; t < height; t += tile_rows) {
          const int tile = static_cast<int>(least(tile_rows, height - t));
          tile_kernel(tile, used, true)(width, a + t * width, width, b, tile_columns, products + t * columns + p * tile_columns,
                                        columns, false, ahead < ahead_end ? Ahead{ahead, lines_of_round} : Ahead{});
          ahead += fetched_by_tile;
        }
      }
      for (int64_t r = 0; r < height; ++r) {
        if (skipped && skipped[row + r]) continue;
        const float* line = products + r * columns;
        for (int64_t v = 0; v < vectors; ++v) {
          if (!any_above(loadu(line + v * VW), loadu(thresholds + v * VW))) continue;
          for (int j = 0; j < VW; ++j) {
            const int64_t q = v * VW + j;
            if (!(line[q] > thresholds[q])) continue;
            List list{own_scores + q * k, own_ids + q * k, k};
            list.offer(line[q], static_cast<int32_t>(first + row + r));
            thresholds[q] = list.scores[0];
          }
        }
      }
    }
  });
  for (int64_t q = 0; q < queries; ++q) {
    List list{scores + q * k, ids + q * k, k};
    list.build();
    for (int64_t task = 0; task < tasks; ++task) {
      const float* own_scores = scores_of(task) + q * k;
      const int32_t* own_ids = ids_of(task) + q * k;
      for (int64_t i = 0; i < k; ++i)
        if (own_ids[i] >= 0) list.offer(own_scores[i], own_ids[i]);
    }
    list.sort();
  }
}

}  // namespace cloze::CLOZE_ISA
