// Matrix products in the tile registers of newer Intel processors (AMX). Those multiply bfloat16 numbers only, sixteen rows by
// sixteen columns by 32 steps of k at a time, and add in float32. A float32 number is the sum of three bfloat16 numbers, each
// with eight of its 24 bits. Of the nine products of two such sums six are taken; the others are below 2^-24 of the whole, so
// results are as near to the truth as float32's own, at more than twice the speed.
#pragma once
#include "../thread-pool.h"
#include "fetch-ahead.h"
#include "gemm-job.h"
#include "gemm-kernel.h"
#include "tile-registers.h"

namespace cloze::CLOZE_ISA {
namespace {

#if defined(__AMX_BF16__)

constexpr int64_t tiles_depth = 768;        // longest block of k
constexpr int64_t tiles_block_rows = 256;   // rows whose parts stay in the second-level cache, a few blocks for each thread
constexpr int64_t tiles_least_rows = 64;    // fewer are not worth taking the weights apart
constexpr int64_t tiles_least_depth = 32;
constexpr int tile_steps = 32;  // of k, in a tile
constexpr int lines_of_step = tile_steps * tile_columns * static_cast<int>(sizeof(float)) / cache_line;
constexpr int parts = 3;
constexpr int64_t tile_words = tile_side * tile_steps;
static_assert(VW == tile_side);

// A square of 16 by 16 numbers, from[i * line + j * step], zero beyond `lines` and `steps`.
CLOZE_INLINE void load_square(vf* r, const float* from, int64_t line, int64_t step, int lines, int steps) {
  if (step == 1) {
#pragma GCC unroll 16
    for (int i = 0; i < VW; ++i) r[i] = i < lines ? load_part(from + i * line, steps) : vzero();
  } else if (line == 1) {
#pragma GCC unroll 16
    for (int i = 0; i < VW; ++i) r[i] = i < steps ? load_part(from + i * step, lines) : vzero();
    transpose(r);
  } else {
    for (int i = 0; i < VW; ++i) {
      alignas(64) float row[VW] = {};
      for (int j = 0; i < lines && j < steps; ++j) row[j] = from[i * line + j * step];
      r[i] = load(row);
    }
  }
}

// x as the sum of three bfloat16 numbers, each in the upper half of its lane, whose lower half is zero (write_parts puts two
// into one). The first is rounded, so that what is left has sixteen bits; where it becomes an infinity nothing is left. NaN is
// in all parts. Of what lies below the smallest normal number the last part is cut, and tile products take it as zero.
CLOZE_INLINE void take_apart(vf x, vi* part) {
  constexpr int32_t upper = static_cast<int32_t>(0xffff0000);
  constexpr int infinities = 0x18;
  part[0] = (as_int(x) + 0x8000) & upper;
  const __m512 whole = reinterpret_cast<__m512>(as_float(part[0]));
  const __mmask16 finite = static_cast<__mmask16>(~_mm512_fpclass_ps_mask(whole, infinities));
  const vf rest = reinterpret_cast<vf>(_mm512_maskz_sub_ps(finite, reinterpret_cast<__m512>(x), whole));
  part[1] = as_int(rest) & upper;
  part[2] = as_int(rest - as_float(part[1])) & upper;
}

// One tile of each part, `tile_words` apart. Lane j of row i holds a pair of k: those of low[i] and high[i]. A tile of A has a
// row in each row and k in its lanes; a tile of B has k in its rows and a column in each lane. Both pair k with k + 16.
CLOZE_INLINE void write_parts(uint16_t* to, const vf* low, const vf* high) {
  typedef uint32_t vu __attribute__((vector_size(CLOZE_VECTOR_BYTES)));
#pragma GCC unroll 16
  for (int i = 0; i < tile_side; ++i) {
    vi even[parts], odd[parts];
    take_apart(low[i], even);
    take_apart(high[i], odd);
#pragma GCC unroll 3
    for (int p = 0; p < parts; ++p) {
      const vi pair = odd[p] | reinterpret_cast<vi>(reinterpret_cast<vu>(even[p]) >> 16);
      *reinterpret_cast<vi*>(to + p * tile_words + i * 2 * VW) = pair;
    }
  }
}

CLOZE_INLINE int within(int64_t count) { return static_cast<int>(count < 0 ? 0 : count < VW ? count : VW); }

// Rows of A, in tiles [rows / 16][steps / 32][parts].
void take_rows_apart(uint16_t* to, const float* a, int64_t row, int64_t column, int64_t rows, int64_t steps) {
  vf low[VW], high[VW];
  for (int64_t i = 0; i < rows; i += tile_side) {
    for (int64_t p = 0; p < steps; p += tile_steps, to += parts * tile_words) {
      const float* from = a + i * row + p * column;
      load_square(low, from, row, column, within(rows - i), within(steps - p));
      load_square(high, from + VW * column, row, column, within(rows - i), within(steps - p - VW));
      write_parts(to, low, high);
    }
  }
}

// 32 columns of B, in tiles [steps / 32][2][parts].
void take_panel_apart(uint16_t* to, const float* b, int64_t row, int64_t column, int64_t columns, int64_t steps) {
  vf low[VW], high[VW];
  for (int64_t p = 0; p < steps; p += tile_steps) {
    for (int64_t j = 0; j < 2 * VW; j += VW, to += parts * tile_words) {
      const float* from = b + p * row + j * column;
      load_square(low, from, row, column, within(steps - p), within(columns - j));
      load_square(high, from + VW * row, row, column, within(steps - p - VW), within(columns - j));
      write_parts(to, low, high);
    }
  }
}

// Registers: 0 to 3 sums, 4 and 5 of A, 6 and 7 of B. They are named by literals. Each product is followed by what may be
// loaded once it has read: a register is loaded again while products of the others run.
struct Nothing {
  void operator()() const {}
};
template <int R, int C, class LoadA0, class LoadB0, class LoadA1, class LoadB1>
CLOZE_INLINE void multiply_tiles(LoadA0 load_a0, LoadB0 load_b0, LoadA1 load_a1, LoadB1 load_b1) {
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (std::is_same_v<LoadA0, Nothing>) {
    if constexpr (R == 2) _tile_dpbf16ps(2, 5, 6);
    load_b0();
    if constexpr (C == 2) _tile_dpbf16ps(1, 4, 7);
  } else {
    if constexpr (C == 2) _tile_dpbf16ps(1, 4, 7);
    load_a0();
    if constexpr (R == 2) _tile_dpbf16ps(2, 5, 6);
    load_b0();
  }
  if constexpr (R == 2 && C == 2) _tile_dpbf16ps(3, 5, 7);
  load_a1(), load_b1();
}

// Sums of R by C tiles over `steps` blocks of k. Tiles of A's second row are a_row words after those of the first.
template <int R, int C>
void sum_tiles(int64_t steps, const uint16_t* a, int64_t a_row, const uint16_t* b, float* c, int64_t ldc, bool add, Ahead ahead) {
  constexpr int bytes = 2 * tile_steps;
  const int64_t line = ldc * static_cast<int64_t>(sizeof(float));
  if (add) {
    _tile_loadd(0, c, line);
    if constexpr (C == 2) _tile_loadd(1, c + VW, line);
    if constexpr (R == 2) _tile_loadd(2, c + tile_side * ldc, line);
    if constexpr (R == 2 && C == 2) _tile_loadd(3, c + tile_side * ldc + VW, line);
  } else {
    _tile_zero(0);
    if constexpr (C == 2) _tile_zero(1);
    if constexpr (R == 2) _tile_zero(2);
    if constexpr (R == 2 && C == 2) _tile_zero(3);
  }
  const auto load_a0 = [&](const uint16_t* from) __attribute__((always_inline)) { _tile_loadd(4, from, bytes); };
  const auto load_a1 = [&](const uint16_t* from) __attribute__((always_inline)) { if constexpr (R == 2) _tile_loadd(5, from + a_row, bytes); };
  const auto load_b0 = [&](const uint16_t* from) __attribute__((always_inline)) { _tile_loadd(6, from, bytes); };
  const auto load_b1 = [&](const uint16_t* from) __attribute__((always_inline)) { if constexpr (C == 2) _tile_loadd(7, from + parts * tile_words, bytes); };
  const Nothing none;
  const auto change_a = [&](const uint16_t* to) __attribute__((always_inline)) {
    multiply_tiles<R, C>([&] { load_a0(to); }, none, [&] { load_a1(to); }, none);
  };
  const auto change_b = [&](const uint16_t* to) __attribute__((always_inline)) {
    multiply_tiles<R, C>(none, [&] { load_b0(to); }, none, [&] { load_b1(to); });
  };
  load_a0(a), load_b0(b + 2 * tile_words), load_a1(a), load_b1(b + 2 * tile_words);
  for (int64_t s = 1;; ++s) {
    fetch_ahead(ahead);
    change_b(b + tile_words);      // the first part of A, the last of B
    change_a(a + tile_words);      // the first, the second
    change_b(b);                   // the second, the second
    change_a(a + 2 * tile_words);  // the second, the first
    change_a(a);                   // the last, the first
    if (s == steps) break;
    a += parts * tile_words;
    b += 2 * parts * tile_words;
    const uint16_t* const last = b + 2 * tile_words;
    multiply_tiles<R, C>([&] { load_a0(a); }, [&] { load_b0(last); }, [&] { load_a1(a); }, [&] { load_b1(last); });
  }
  multiply_tiles<R, C>(none, none, none, none);
  _tile_stored(0, c, line);
  if constexpr (C == 2) _tile_stored(1, c + VW, line);
  if constexpr (R == 2) _tile_stored(2, c + tile_side * ldc, line);
  if constexpr (R == 2 && C == 2) _tile_stored(3, c + tile_side * ldc + VW, line);
}

using TileSums = void (*)(int64_t, const uint16_t*, int64_t, const uint16_t*, float*, int64_t, bool, Ahead);
inline TileSums tile_sums(int rows, int columns) {
  if (rows == 1) return columns == 1 ? sum_tiles<1, 1> : sum_tiles<1, 2>;
  return columns == 1 ? sum_tiles<2, 1> : sum_tiles<2, 2>;
}

// Whether a product is done in tiles: one that is large enough.
inline bool in_tiles(const Job& job) { return job.m >= tiles_least_rows && job.n >= VW && job.k >= tiles_least_depth; }

// As compute_block in gemm.cpp: rows [row, row_end) and panels [panel, panel_end) of C, over all of k.
void compute_block_in_tiles(const Job& job, int64_t row, int64_t row_end, int64_t panel, int64_t panel_end, const float* packed, float* scratch) {
  const int64_t rows = row_end - row;
  const int64_t length = job.pass_length(tiles_depth, tile_steps);
  uint16_t* const a = reinterpret_cast<uint16_t*>(scratch);
  uint16_t* const b = a + divide_up(rows, tile_side) * (length / tile_steps) * parts * tile_words;
  alignas(64) float sums[4 * tile_side * tile_side];
  take_tiles();
  int64_t done = 0;
  do {
    const int64_t part = least(length, job.k - done);
    const int64_t steps = divide_up(part, tile_steps);
    const int64_t a_row = steps * parts * tile_words;
    const bool first = done == 0, last = done + part >= job.k;
    bool add = false;
    const bool to_c = straight(job, first, last, add);
    take_rows_apart(a, job.a + row * job.row_a + done * job.col_a, job.row_a, job.col_a, rows, part);
    for (int64_t q = panel; q < panel_end; ++q) {
      const int64_t column = q * tile_columns;
      const int columns = static_cast<int>(least(tile_columns, job.n - column));
      if (packed) take_panel_apart(b, packed + (q * job.k + done) * tile_columns, tile_columns, 1, columns, part);
      else take_panel_apart(b, job.b + done * job.row_b + column * job.col_b, job.row_b, job.col_b, columns, part);
      const float* next = packed && q + 1 < panel_end ? packed + ((q + 1) * job.k + done) * tile_columns : nullptr;
      const FetchPlan fetch(nullptr, true, next, steps, lines_of_step, divide_up(rows, 2 * tile_side));
      const int wide = columns > VW ? 2 : 1;
      for (int64_t r = 0; r < rows; r += 2 * tile_side) {
        const int height = static_cast<int>(least(2 * tile_side, rows - r));
        const int high = height > tile_side ? 2 : 1;
        const TileSums run = tile_sums(high, wide);
        const uint16_t* from = a + r / tile_side * a_row;
        float* const to = job.c + (row + r) * job.ldc + column * job.col_c;
        fetch_tile(job, row + r, column, height, columns);
        if (to_c && columns == wide * VW && height == high * tile_side) {
          run(steps, from, a_row, b, to, job.ldc, add, fetch.of_tile(r / (2 * tile_side)));
        } else {
          run(steps, from, a_row, b, sums, tile_columns, false, fetch.of_tile(r / (2 * tile_side)));
          finish(job, {sums, tile_columns, row + r, column, height, columns, first, last});
        }
      }
    }
    done += part;
  } while (done < job.k);
  leave_tiles();
}

// All of C. Threads take rows where there are enough for each, else columns.
void compute_in_tiles(const Job& job, const float* packed, int slot) {
  const int64_t panels = divide_up(job.n, tile_columns);
  const int64_t threads = thread_count();
  int64_t row_blocks = divide_up(job.m, tiles_block_rows);
  int64_t column_blocks = 1;
  if (threads > 1) {
    if (job.m >= threads * tiles_block_rows / 4) row_blocks = divide_up(row_blocks, threads) * threads;
    else column_blocks = least(panels, 2 * threads);
  }
  const int64_t pairs = divide_up(job.m, 2 * tile_side);
  parallel(row_blocks * column_blocks, [&](int64_t index, int thread) {
    const int64_t r = index / column_blocks, s = index % column_blocks;
    const int64_t row = pairs * r / row_blocks * 2 * tile_side, row_end = least(job.m, pairs * (r + 1) / row_blocks * 2 * tile_side);
    const int64_t panel = panels * s / column_blocks, panel_end = panels * (s + 1) / column_blocks;
    if (row >= row_end || panel >= panel_end) return;
    const int64_t words = job.pass_length(tiles_depth, tile_steps) * parts * (divide_up(row_end - row, tile_side) * tile_side + tile_columns);
    compute_block_in_tiles(job, row, row_end, panel, panel_end, packed, thread_scratch(thread, static_cast<size_t>(words) * sizeof(uint16_t), slot));
  });
}

#else

inline bool in_tiles(const Job&) { return false; }
inline void compute_in_tiles(const Job&, const float*, int) {}

#endif

}  // namespace
}  // namespace cloze::CLOZE_ISA
