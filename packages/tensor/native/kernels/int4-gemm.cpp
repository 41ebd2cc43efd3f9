#include "int4-gemm.h"

#include "../simd.h"
#include "../thread-pool.h"
#include "activate.h"
#include "fetch-ahead.h"
#include "int8-dot.h"

namespace cloze::CLOZE_ISA {
namespace {

// 32 bits hold the weights of `per_word` steps: those of step s are shifted up by 4 s.
constexpr int per_word = 8 / per_step;
constexpr uint32_t step_mask = per_step == 4 ? 0x0f0f0f0fu : 0x000f000fu;
constexpr int tile_vectors = 2;
constexpr int64_t tile_columns = tile_vectors * VW;
// One row fewer than for 8 bits: the codes that are taken apart need registers too.
constexpr int tile_rows = code_tile_rows - 2;
constexpr int64_t block_rows = 12 * tile_rows;
constexpr double serial_work = 8e5;
constexpr int round_steps = 2 * per_word;
constexpr int lines_of_round = 2 * tile_columns * static_cast<int>(sizeof(int32_t)) / cache_line;
constexpr int slot_sums = 3;  // the caller's

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t words_of(int64_t k) { return divide_up(steps_of(k), per_word); }

struct Job {
  const int32_t* a;      // [m, steps]
  const float* rows;     // [m, 2]: scale, zero
  const float* row_sums; // [m]: of codes
  const int32_t* b;      // [panels, words, tile_columns]
  const float* columns;  // [3, n]
  const float* bias;
  const float* residual;
  float* y;
  int64_t n, k, steps;
};

CLOZE_INLINE vi codes_at(vi word, int step) { return (word >> (4 * step)) & static_cast<int32_t>(step_mask); }

template <int H, Activation kind>
void tile(const Job& job, int64_t row, int64_t panel, Ahead ahead) {
  vi sum[H][tile_vectors];
  for (int i = 0; i < H; ++i)
    for (int j = 0; j < tile_vectors; ++j) sum[i][j] = vi{};
  const int32_t* a[H];
  for (int i = 0; i < H; ++i) a[i] = job.a + (row + i) * job.steps;
  const int64_t first = panel * tile_columns;
  fetch_results(job.y, job.residual, row * job.n + first, job.n, H, least(tile_columns, job.n - first));
  const int64_t words = divide_up(job.steps, per_word);
  const int32_t* b = job.b + panel * words * tile_columns;
  const auto step = [&](int64_t s, vi b0, vi b1) __attribute__((always_inline)) {
#pragma GCC unroll 14
    for (int i = 0; i < H; ++i) {
      const vi x = broadcast_i(a[i][s]);
      sum[i][0] = dot_step(sum[i][0], x, b0);
      sum[i][1] = dot_step(sum[i][1], x, b1);
    }
  };
  int64_t s = 0;
  for (; s + per_word <= job.steps; s += per_word, b += tile_columns) {
    if (s % round_steps == 0) fetch_ahead(ahead);
    const vi w0 = loadu_i(b), w1 = loadu_i(b + VW);
#pragma GCC unroll 4
    for (int u = 0; u < per_word; ++u) step(s + u, codes_at(w0, u), codes_at(w1, u));
  }
  for (int u = 0; s + u < job.steps; ++u) step(s + u, codes_at(loadu_i(b), u), codes_at(loadu_i(b + VW), u));
  for (int j = 0; j < tile_vectors; ++j) {
    const int64_t column = first + j * VW;
    const int64_t count = least(VW, job.n - column);
    if (count <= 0) break;
    const bool whole = count == VW;
    const auto read = [&](const float* p) { return whole ? loadu(p) : load_part(p, count); };
    const vf step_size = read(job.columns + column), least_weight = read(job.columns + job.n + column);
    const vi codes = to_int(read(job.columns + 2 * job.n + column));
    const vf bias = job.bias ? read(job.bias + column) : vzero();
    for (int i = 0; i < H; ++i) {
      const float scale = job.rows[2 * (row + i)], zero = job.rows[2 * (row + i) + 1];
      const vi exact = sum[i][j] - codes * broadcast_i(static_cast<int32_t>(zero));
      const float inputs = scale * (job.row_sums[row + i] - zero * static_cast<float>(job.k));  // the sum of the row
      vf x = activate<kind>(fma(to_float(exact), step_size * scale, fma(least_weight, broadcast(inputs), bias)));
      const int64_t at = (row + i) * job.n + column;
      if (job.residual) x += read(job.residual + at);
      if (whole) storeu(job.y + at, x);
      else store_part(job.y + at, x, count);
    }
  }
}

template <int H, Activation kind>
void tile_of_height(const Job& job, int64_t row, int64_t panel, int height, Ahead ahead) {
  if constexpr (H > 0) {
    if (height == H) return tile<H, kind>(job, row, panel, ahead);
    return tile_of_height<H - 1, kind>(job, row, panel, height, ahead);
  }
}

template <Activation kind>
void product(const Job& job, int64_t m) {
  const int64_t panels = divide_up(job.n, tile_columns);
  const int64_t threads = thread_count();
  const double work = static_cast<double>(m) * static_cast<double>(panels * tile_columns) * static_cast<double>(job.k);
  int64_t row_blocks = divide_up(m, block_rows);
  int64_t column_blocks = 1;
  if (work > serial_work && threads > 1) {
    if (row_blocks > 1) row_blocks = divide_up(row_blocks, threads) * threads;
    const int64_t wanted = least(4 * threads, static_cast<int64_t>(work / serial_work) + 1);
    if (row_blocks < wanted) column_blocks = most(1, least(divide_up(wanted, row_blocks), divide_up(panels, 2)));
  }
  parallel(row_blocks * column_blocks, [&](int64_t index, int) {
    const int64_t r = index / column_blocks, c = index % column_blocks;
    const int64_t from = m * r / row_blocks, rows = m * (r + 1) / row_blocks - from;
    const int64_t tiles = divide_up(rows, tile_rows);
    const int64_t words = divide_up(job.steps, per_word), end = panels * (c + 1) / column_blocks;
    bool fetched = false;
    for (int64_t panel = panels * c / column_blocks; panel < end; ++panel) {
      const int32_t* b = job.b + panel * words * tile_columns;
      const FetchPlan fetch(b, fetched, panel + 1 < end ? b + words * tile_columns : nullptr, words / 2, lines_of_round, tiles);
      fetched = fetch.fetches_next();
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t first = rows * t / tiles;
        tile_of_height<tile_rows, kind>(job, from + first, panel, static_cast<int>(rows * (t + 1) / tiles - first), fetch.of_tile(t));
      }
    }
  });
}

}  // namespace

int64_t packed_int4_bytes(int64_t n, int64_t k) { return divide_up(n, tile_columns) * tile_columns * 4 * most(1, words_of(k)); }

void pack_int4(const int8_t* codes, void* packed, float* sums, int64_t n, int64_t k) {
  const int64_t words = words_of(k);
  parallel(divide_up(n, tile_columns), [&](int64_t panel, int) {
    auto* to = static_cast<uint32_t*>(packed) + panel * words * tile_columns;
    for (int64_t c = 0; c < tile_columns; ++c) {
      const int64_t column = panel * tile_columns + c;
      int64_t sum = 0;
      for (int64_t word = 0; word < words; ++word) {
        uint32_t bits = 0;
        for (int u = 0; u < per_word; ++u) {
          for (int p = 0; p < per_step; ++p) {
            const int64_t i = (word * per_word + u) * per_step + p;
            const uint32_t code = column < n && i < k ? static_cast<uint32_t>(codes[column * k + i]) & 15u : 0u;
            bits |= code << (4 * u + p * (32 / per_step));
            sum += code;
          }
        }
        to[word * tile_columns + c] = bits;
      }
      if (column < n) sums[column] = static_cast<float>(sum);
    }
  });
}

void linear_int4_f32(const void* codes, const float* parameters, const void* packed, const float* columns, const float* bias,
                     float* y, int64_t m, int64_t n, int64_t k, int32_t activation, const float* residual) {
  if (m <= 0 || n <= 0) return;
  const int64_t steps = steps_of(k), group = most(1, 16384 / most(1, k));
  float* const row_sums = thread_scratch(0, static_cast<size_t>(m) * sizeof(float), slot_sums);
  parallel(divide_up(m, group), [&](int64_t index, int) {
    for (int64_t row = index * group; row < least(m, (index + 1) * group); ++row) {
      const Code* from = static_cast<const Code*>(codes) + row * steps * per_step;
      int32_t sum = 0;
      for (int64_t i = 0; i < k; ++i) sum += from[i];
      row_sums[row] = static_cast<float>(sum);
    }
  });
  const Job job{static_cast<const int32_t*>(codes), parameters, row_sums, static_cast<const int32_t*>(packed), columns, bias,
                residual, y, n, k, steps};
  with_activation(static_cast<Activation>(activation), [&]<Activation kind>() { product<kind>(job, m); });
}

}  // namespace cloze::CLOZE_ISA
