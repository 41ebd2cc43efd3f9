#include "int8-gemm.h"

#include "../simd.h"
#include "../thread-pool.h"
#include "activate.h"
#include "fetch-ahead.h"
#include "int8-dot.h"
#include "tile-registers.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int tile_rows = code_tile_rows;
typedef Code codes_of_vector __attribute__((vector_size(VW * sizeof(Code)), aligned(1), may_alias));

constexpr int tile_vectors = 2;
constexpr int64_t tile_columns = tile_vectors * VW;
#if defined(__AMX_INT8__)
constexpr int64_t block_rows = 512;
constexpr int64_t row_step = 2 * tile_side;  // where blocks of rows may begin
#else
constexpr int64_t block_rows = 12 * tile_rows;
constexpr int64_t row_step = 1;
#endif
constexpr double serial_work = 1.6e6;
constexpr int line_bytes = tile_columns * static_cast<int>(sizeof(int32_t));  // of a panel: one step
constexpr int round_steps = 4;

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

struct Job {
  const int32_t* a;           // [m, steps]
  const float* rows;          // [m, 2]: scale, zero
  const int32_t* b;           // [panels, steps, tile_columns]
  const float* scales;        // [n]
  const float* sums;          // [n]
  const float* bias;
  const float* residual;
  float* y;
  int64_t n, steps;
};

// What becomes of the sums of rows [row, row + rows) and one vector of columns; sum_of(i) are those of row i.
template <Activation kind, class Sums>
CLOZE_INLINE void finish(const Job& job, int64_t row, int rows, int64_t column, Sums sum_of) {
  const int64_t count = least(VW, job.n - column);
  if (count <= 0) return;
  const bool whole = count == VW;
  const auto read = [&](const float* p) { return whole ? loadu(p) : load_part(p, count); };
  const vf scale = read(job.scales + column);
  const vi codes = to_int(read(job.sums + column));
  const vf bias = job.bias ? read(job.bias + column) : vzero();
#pragma GCC unroll 14
  for (int i = 0; i < rows; ++i) {
    const float* parameters = job.rows + 2 * (row + i);
    const vi exact = sum_of(i) - codes * broadcast_i(static_cast<int32_t>(parameters[1]));
    vf x = activate<kind>(fma(to_float(exact), scale * parameters[0], bias));
    const int64_t at = (row + i) * job.n + column;
    if (job.residual) x += read(job.residual + at);
    if (whole) storeu(job.y + at, x);
    else store_part(job.y + at, x, count);
  }
}

// Rows [row, row + H) of one panel.
template <int H, Activation kind>
void tile(const Job& job, int64_t row, int64_t panel, Ahead ahead) {
  vi sum[H][tile_vectors];
  for (int i = 0; i < H; ++i)
    for (int j = 0; j < tile_vectors; ++j) sum[i][j] = vi{};
  const int32_t* a[H];
  for (int i = 0; i < H; ++i) a[i] = job.a + (row + i) * job.steps;
  const int64_t column = panel * tile_columns;
  fetch_results(job.y, job.residual, row * job.n + column, job.n, H, least(tile_columns, job.n - column));
  const int32_t* b = job.b + panel * job.steps * tile_columns;
  for (int64_t s = 0; s < job.steps; ++s, b += tile_columns) {
    if (s % round_steps == 0) fetch_ahead(ahead);
    const vi b0 = loadu_i(b), b1 = loadu_i(b + VW);
#pragma GCC unroll 14
    for (int i = 0; i < H; ++i) {
      const vi x = broadcast_i(a[i][s]);
      sum[i][0] = dot_step(sum[i][0], x, b0);
      sum[i][1] = dot_step(sum[i][1], x, b1);
    }
  }
  for (int j = 0; j < tile_vectors; ++j)
    finish<kind>(job, row, H, column + j * VW, [&](int i) __attribute__((always_inline)) { return sum[i][j]; });
}

#if defined(__AMX_INT8__)
// Rows [row, row + 16 R) of one panel, in tile registers: 0 to 3 sums, 4 and 5 of A, 6 and 7 of B. Their sums are as exact.
template <int R, Activation kind>
void tile_registers(const Job& job, int64_t row, int64_t panel, Ahead ahead) {
  alignas(64) int32_t sums[R * tile_side][tile_columns];
  const int64_t line_a = job.steps * static_cast<int64_t>(sizeof(int32_t));
  const int32_t* a = job.a + row * job.steps;
  const int32_t* b = job.b + panel * job.steps * tile_columns;
  const int64_t column = panel * tile_columns;
  fetch_results(job.y, job.residual, row * job.n + column, job.n, R * tile_side, least(tile_columns, job.n - column));
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (R == 2) _tile_zero(2);
  if constexpr (R == 2) _tile_zero(3);
  for (int64_t s = 0; s < job.steps; s += tile_side, b += tile_side * tile_columns) {
    fetch_ahead(ahead);
    _tile_loadd(6, b, line_bytes);
    _tile_loadd(4, a + s, line_a);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(7, b + VW, line_bytes);
    _tile_dpbusd(1, 4, 7);
    if constexpr (R == 2) {
      _tile_loadd(5, a + tile_side * job.steps + s, line_a);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
  }
  _tile_stored(0, sums[0], line_bytes);
  _tile_stored(1, sums[0] + VW, line_bytes);
  if constexpr (R == 2) _tile_stored(2, sums[tile_side], line_bytes);
  if constexpr (R == 2) _tile_stored(3, sums[tile_side] + VW, line_bytes);
  for (int j = 0; j < tile_vectors; ++j)
    finish<kind>(job, row, R * tile_side, column + j * VW, [&](int i) __attribute__((always_inline)) { return loadu_i(sums[i] + j * VW); });
}

constexpr int group_rows = 2 * tile_side, group_round = tile_side;
template <Activation kind>
void group_of_rows(const Job& job, int64_t row, int64_t rows, int64_t panel, Ahead ahead) {
  if (rows > tile_side) tile_registers<2, kind>(job, row, panel, ahead);
  else tile_registers<1, kind>(job, row, panel, ahead);
}
// The rows that are computed in groups: those that fill tile registers.
inline int64_t rows_in_groups(int64_t rows) { return rows / tile_side * tile_side; }
#else
constexpr int group_rows = 1, group_round = 1;
template <Activation kind>
void group_of_rows(const Job&, int64_t, int64_t, int64_t, Ahead) {}
inline int64_t rows_in_groups(int64_t) { return 0; }
#endif

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
  const double work = static_cast<double>(m) * static_cast<double>(panels * tile_columns) * static_cast<double>(job.steps * per_step);
  int64_t row_blocks = divide_up(m, block_rows);
  int64_t column_blocks = 1;
  if (work > serial_work && threads > 1) {
    if (row_blocks > 1) row_blocks = divide_up(row_blocks, threads) * threads;
    const int64_t wanted = least(4 * threads, static_cast<int64_t>(work / serial_work) + 1);
    if (row_blocks < wanted) column_blocks = most(1, least(divide_up(wanted, row_blocks), divide_up(panels, 2)));
  }
  parallel(row_blocks * column_blocks, [&](int64_t index, int) {
    const int64_t r = index / column_blocks, c = index % column_blocks;
    const auto border = [&](int64_t block) { return block == row_blocks ? m : m * block / row_blocks / row_step * row_step; };
    const int64_t from = border(r), rows = border(r + 1) - from;
    const int64_t grouped = rows_in_groups(rows), groups = divide_up(grouped, group_rows);
    const int64_t others = rows - grouped, tiles = divide_up(others, tile_rows);
    const int round = groups > 0 ? group_round : round_steps;
    const int64_t end = panels * (c + 1) / column_blocks;
    bool fetched = false;
    if (groups > 0) take_tiles();
    for (int64_t panel = panels * c / column_blocks; panel < end; ++panel) {
      const int32_t* b = job.b + panel * job.steps * tile_columns;
      const FetchPlan fetch(b, fetched, panel + 1 < end ? b + job.steps * tile_columns : nullptr, job.steps / round,
                            round * line_bytes / cache_line, groups > 0 ? groups : tiles);
      fetched = fetch.fetches_next();
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t first = g * group_rows;
        group_of_rows<kind>(job, from + first, least(group_rows, grouped - first), panel, fetch.of_tile(g));
      }
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t first = others * t / tiles;
        tile_of_height<tile_rows, kind>(job, from + grouped + first, panel, static_cast<int>(others * (t + 1) / tiles - first),
                                        groups > 0 ? Ahead{} : fetch.of_tile(t));
      }
    }
    if (groups > 0) leave_tiles();
  });
}

// Codes of a row, padded with zeros. `zero` is a whole number.
void encode_row(const float* from, Code* to, int64_t k, int64_t padded, float scale, float zero) {
  const vf inverse = broadcast(1.0f / scale), shift = broadcast(zero + 0.5f);
  const auto code = [&](vf v) { return to_int(vmin(vmax(fma(v, inverse, shift), vzero()), broadcast(255.0f))); };
  int64_t i = 0;
  for (; i + VW <= k; i += VW)
    *reinterpret_cast<codes_of_vector*>(to + i) = __builtin_convertvector(code(loadu(from + i)), codes_of_vector);
  if (i < k) {
    const vi last = code(load_part(from + i, k - i));
    for (int j = 0; i + j < k; ++j) to[i + j] = static_cast<Code>(last[j]);
  }
  for (i = k; i < padded; ++i) to[i] = 0;
}

struct Extremes {
  float low, high;  // of the numbers and 0
  float broken;     // 0, or not a number where the row holds one that is none
};

Extremes extremes_of(const float* from, int64_t k) {
  vf low = vzero(), high = vzero(), nothing = vzero();
  int64_t i = 0;
  for (; i + VW <= k; i += VW) {
    const vf v = loadu(from + i);
    low = vmin(v, low), high = vmax(v, high), nothing += v * 0.0f;
  }
  if (i < k) {
    const vf v = load_part(from + i, k - i);
    low = vmin(v, low), high = vmax(v, high), nothing += v * 0.0f;
  }
  return {-reduce_max(-low), reduce_max(high), reduce_sum(nothing)};
}

template <class F>
void each_row(int64_t rows, int64_t k, F f) {
  const int64_t group = most(1, 32768 / most(1, k));
  parallel(divide_up(rows, group), [&](int64_t index, int) {
    for (int64_t row = index * group; row < least(rows, (index + 1) * group); ++row) f(row);
  });
}

}  // namespace

int64_t int8_row_bytes(int64_t k) { return 4 * steps_of(k); }
int32_t int8_step_codes() { return per_step; }

void quantize_rows_f32(const float* x, void* codes, float* parameters, int64_t rows, int64_t k) {
  const int64_t padded = steps_of(k) * per_step;
  each_row(rows, k, [&](int64_t row) {
    const auto [low, high, broken] = extremes_of(x + row * k, k);
    const float span = high - low;
    const float scale = span > 1e-30f ? span / 255.0f : 1.0f;
    const float zero = broken == 0.0f ? static_cast<float>(static_cast<int32_t>(-low / scale + 0.5f)) : 0.0f;
    parameters[2 * row] = scale + broken;
    parameters[2 * row + 1] = zero;
    encode_row(x + row * k, static_cast<Code*>(codes) + row * padded, k, padded, scale, zero);
  });
}

void quantize_rows_within_f32(const float* x, void* codes, float* parameters, int64_t rows, int64_t k, float scale, float zero) {
  const int64_t padded = steps_of(k) * per_step;
  each_row(rows, k, [&](int64_t row) {
    const float broken = extremes_of(x + row * k, k).broken;
    parameters[2 * row] = scale + broken;
    parameters[2 * row + 1] = zero;
    encode_row(x + row * k, static_cast<Code*>(codes) + row * padded, k, padded, scale, zero);
  });
}

int64_t packed_int8_bytes(int64_t n, int64_t k) { return divide_up(n, tile_columns) * tile_columns * 4 * most(1, steps_of(k)); }

void pack_int8_f32(const float* w, void* packed, float* columns, int64_t n, int64_t k) {
  const int64_t steps = steps_of(k);
  parallel(divide_up(n, tile_columns), [&](int64_t panel, int) {
    auto* to = static_cast<WeightCode*>(packed) + panel * steps * tile_columns * per_step;
    for (int64_t c = 0; c < tile_columns; ++c) {
      const int64_t column = panel * tile_columns + c;
      const float* from = w + column * k;
      float largest = 0.0f;
      if (column < n)
        for (int64_t i = 0; i < k; ++i) largest = __builtin_fmaxf(largest, __builtin_fabsf(from[i]));
      const float scale = largest > 0.0f ? largest / 127.0f : 1.0f;
      int64_t sum = 0;
      for (int64_t i = 0; i < steps * per_step; ++i) {
        const float code = column < n && i < k ? __builtin_nearbyintf(from[i] / scale) : 0.0f;
        const auto kept = static_cast<WeightCode>(code < -127.0f ? -127.0f : code > 127.0f ? 127.0f : code);
        to[(i / per_step * tile_columns + c) * per_step + i % per_step] = kept;
        sum += kept;
      }
      if (column < n) columns[column] = scale, columns[n + column] = static_cast<float>(sum);
    }
  });
}

void linear_int8_f32(const void* codes, const float* parameters, const void* packed, const float* columns, const float* bias,
                     float* y, int64_t m, int64_t n, int64_t k, int32_t activation, const float* residual) {
  if (m <= 0 || n <= 0) return;
  const Job job{static_cast<const int32_t*>(codes), parameters, static_cast<const int32_t*>(packed), columns, columns + n,
                bias, residual, y, n, steps_of(k)};
  with_activation(static_cast<Activation>(activation), [&]<Activation kind>() { product<kind>(job, m); });
}

}  // namespace cloze::CLOZE_ISA
