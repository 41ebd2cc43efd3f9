// Matrix products. One scheme serves every shape:
//   k is cut into equal blocks of at most `depth` (the cut depends on k alone, so each element of C is always summed in
//   the same order); rows are cut into blocks whose packed A stays in the second-level cache; for each panel of
//   tile_columns columns of B, in the first-level cache, the register tile runs down the rows.
// B is packed once by all threads when many rows use it, panel by panel when few do, and not at all when it can be read
// as it lies and fewer still. Thin products (a few rows or columns) are memory-bound: they take dot products instead. On
// processors with AMX, what has many rows is done in tile registers (gemm-tiles.h).
#include "gemm.h"

#include "../simd.h"
#include "../thread-pool.h"
#include "gemm-job.h"
#include "gemm-kernel.h"
#include "gemm-tiles.h"

namespace cloze::CLOZE_ISA {
namespace {

#ifndef CLOZE_GEMM_DEPTH
#define CLOZE_GEMM_DEPTH 768
#endif
#ifndef CLOZE_GEMM_ROWS
#define CLOZE_GEMM_ROWS 168
#endif
constexpr int64_t depth = CLOZE_GEMM_DEPTH;           // longest block of k
constexpr int64_t block_rows = CLOZE_GEMM_ROWS;       // rows of one packed block of A
constexpr int64_t slab_elements = int64_t{1} << 21;   // of B, packed at a time for all threads
constexpr int64_t direct_b_tiles = 3;                 // up to so many tiles of rows, B is read as it lies
constexpr int64_t direct_a_panels = 2;                // up to so many panels of columns, A is read as it lies
constexpr double serial_work = 4e5;                   // multiplications that are not worth waking a thread

// Scratch slots of this file, apart from those that callers use inside their own bodies.
constexpr int slot_own = 2;
constexpr int slot_shared = 3;

constexpr int lines_of_round = unrolled * tile_columns * static_cast<int>(sizeof(float)) / cache_line;  // of a packed panel

// Rows [row, row_end) and panels [panel, panel_end) of C, over all of k. `packed` holds panels from `packed_from` on,
// each k * tile_columns; null: B is read as it lies or packed here.
void compute_block(const Job& job, int64_t row, int64_t row_end, int64_t panel, int64_t panel_end, const float* packed,
                   int64_t packed_from, int thread) {
  const int64_t rows = row_end - row;
  if (rows <= 0 || panel >= panel_end) return;
  const int64_t tiles = divide_up(rows, tile_rows);
  const int64_t length = job.pass_length(depth, 8);
  const bool direct_a = job.col_a == 1 && panel_end - panel <= direct_a_panels;
  const bool direct_b = !packed && job.col_b == 1 && tiles <= direct_b_tiles;
  const int64_t a_elements = divide_up(rows * length + VW, 16) * 16;
  float* const packed_a = thread_scratch(thread, static_cast<size_t>(a_elements + length * tile_columns + VW) * sizeof(float), slot_own);
  float* const own_b = packed_a + a_elements;
  alignas(64) float sums[tile_rows * tile_columns];

  const auto tile_start = [&](int64_t t) { return rows * t / tiles; };
  int64_t done = 0;
  do {
    const int64_t part = least(length, job.k - done);
    const bool first = done == 0;
    const bool last = done + part >= job.k;
    if (!direct_a) {
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t from = tile_start(t);
        const int height = static_cast<int>(tile_start(t + 1) - from);
        pack_panel(packed_a + from * part, height, height, part, job.a + (row + from) * job.row_a + done * job.col_a, job.row_a, job.col_a);
      }
    }
    bool add = false;
    const bool to_c = straight(job, first, last, add);
    bool fetched = false;
    for (int64_t q = panel; q < panel_end; ++q) {
      const int64_t column = q * tile_columns;
      const int columns = static_cast<int>(least(tile_columns, job.n - column));
      const int vectors = columns <= VW ? 1 : tile_vectors;
      const bool whole = columns == vectors * VW;
      const float* b;
      int64_t ldb = tile_columns;
      if (packed) {
        b = packed + ((q - packed_from) * job.k + done) * tile_columns;
      } else {
        const float* from = job.b + done * job.row_b + column * job.col_b;
        if (direct_b && whole) {
          b = from;
          ldb = job.row_b;
        } else {
          pack_panel(own_b, tile_columns, columns, part, from, job.col_b, job.row_b);
          b = own_b;
        }
      }
      const float* next = q + 1 < panel_end ? b + job.k * tile_columns : nullptr;
      const FetchPlan fetch = packed ? FetchPlan(b, fetched, next, part / unrolled, lines_of_round, tiles) : FetchPlan();
      fetched = fetch.fetches_next();
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t from = tile_start(t);
        const int height = static_cast<int>(tile_start(t + 1) - from);
        const TileKernel kernel = tile_kernel(height, vectors, direct_a);
        const float* a = direct_a ? job.a + (row + from) * job.row_a + done : packed_a + from * part;
        fetch_tile(job, row + from, column, height, columns);
        if (to_c && whole) {
          kernel(part, a, job.row_a, b, ldb, job.c + (row + from) * job.ldc + column, job.ldc, add, fetch.of_tile(t));
        } else {
          kernel(part, a, job.row_a, b, ldb, sums, tile_columns, false, fetch.of_tile(t));
          finish(job, {sums, tile_columns, row + from, column, height, columns, first, last});
        }
      }
    }
    done += part;
  } while (done < job.k);
}

// Panels [panel, panel_end) of C with every row, B packed already or, with few rows, as it lies.
void compute_panels(const Job& job, int64_t panel, int64_t panel_end, const float* packed, int64_t packed_from, bool one_block) {
  const int64_t panels = panel_end - panel;
  const double work = static_cast<double>(job.m) * static_cast<double>(panels * tile_columns) * static_cast<double>(job.k + 1);
  const int64_t threads = thread_count(), tiles = divide_up(job.m, tile_rows);
  int64_t row_blocks = one_block ? 1 : divide_up(job.m, block_rows);
  int64_t column_blocks = 1;
  if (work > serial_work && threads > 1) {
    if (row_blocks > 1) row_blocks = divide_up(row_blocks, threads) * threads;
    row_blocks = least(row_blocks, tiles);
    // Enough tasks to share out evenly though threads be slowed down by others, but none too small to be worth its packing.
    const int64_t wanted = least(4 * threads, static_cast<int64_t>(work / serial_work) + 1);
    if (row_blocks < wanted) column_blocks = least(divide_up(wanted, row_blocks), divide_up(panels, row_blocks > 1 ? 8 : 2));
    column_blocks = most(column_blocks, 1);
  }
  parallel(row_blocks * column_blocks, [&](int64_t index, int thread) {
    const int64_t r = index / column_blocks;
    const int64_t s = index % column_blocks;
    // Blocks begin where tiles do: all tiles but the last block's are whole.
    const auto border = [&](int64_t block) { return least(job.m, tiles * block / row_blocks * tile_rows); };
    compute_block(job, border(r), border(r + 1), panel + panels * s / column_blocks, panel + panels * (s + 1) / column_blocks,
                  packed, packed_from, thread);
  });
}

// Packs panels [panel, panel_end) of B whole, one after another.
void pack_panels(const float* b, int64_t row_b, int64_t col_b, int64_t n, int64_t k, int64_t panel, int64_t panel_end, float* to) {
  const int64_t panels = panel_end - panel;
  const int64_t group = most(1, (int64_t{1} << 16) / most(1, k * tile_columns));
  parallel(divide_up(panels, group), [&](int64_t index, int) {
    for (int64_t q = index * group; q < least(panels, (index + 1) * group); ++q) {
      const int64_t column = (panel + q) * tile_columns;
      const int columns = static_cast<int>(least(tile_columns, n - column));
      pack_panel(to + q * k * tile_columns, tile_columns, columns, k, b + column * col_b, col_b, row_b);
    }
  });
}

// Dot products: for few rows of A against many lines of B, both unit-stride along k.
template <int H>
void dot_rows(const Job& job, int64_t row, int64_t column, int64_t column_end) {
  constexpr int W = 4;
  const int64_t k = job.k;
  for (int64_t n = column; n < column_end; n += W) {
    const int width = static_cast<int>(least(W, column_end - n));
    const float* a[H];
    const float* b[W];
    for (int i = 0; i < H; ++i) a[i] = job.a + (row + i) * job.row_a;
    for (int j = 0; j < W; ++j) b[j] = job.b + (n + (j < width ? j : 0)) * job.col_b;
    vf acc[H][W];
#pragma GCC unroll 4
    for (int i = 0; i < H; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) acc[i][j] = vzero();
    }
    int64_t p = 0;
    for (; p + VW <= k; p += VW) {
      vf av[H];
#pragma GCC unroll 4
      for (int i = 0; i < H; ++i) av[i] = loadu(a[i] + p);
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) {
        const vf bv = loadu(b[j] + p);
#pragma GCC unroll 4
        for (int i = 0; i < H; ++i) acc[i][j] = fma(av[i], bv, acc[i][j]);
      }
    }
    if (p < k) {
      vf av[H];
#pragma GCC unroll 4
      for (int i = 0; i < H; ++i) av[i] = load_part(a[i] + p, k - p);
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) {
        const vf bv = load_part(b[j] + p, k - p);
#pragma GCC unroll 4
        for (int i = 0; i < H; ++i) acc[i][j] = fma(av[i], bv, acc[i][j]);
      }
    }
    float sums[H * VW];
    for (int i = 0; i < H; ++i) {
      for (int j = 0; j < VW; ++j) sums[i * VW + j] = 0.0f;
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) sums[i * VW + j] = reduce_sum(acc[i][j]);
    }
    finish(job, {sums, VW, row, n, H, width, true, true});
  }
}

void dot_products(const Job& job) {
  const double work = static_cast<double>(job.m) * static_cast<double>(job.n) * static_cast<double>(job.k + 1);
  const int64_t groups = divide_up(job.n, 4);
  const int64_t count = work > serial_work / 4 ? least(divide_up(groups, 4), 4 * thread_count()) : 1;
  parallel(count, [&](int64_t index, int) {
    const int64_t from = groups * index / count * 4;
    const int64_t to = least(job.n, groups * (index + 1) / count * 4);
    for (int64_t row = 0; row < job.m; row += 4) {
      switch (least(4, job.m - row)) {
        case 1: dot_rows<1>(job, row, from, to); break;
        case 2: dot_rows<2>(job, row, from, to); break;
        case 3: dot_rows<3>(job, row, from, to); break;
        default: dot_rows<4>(job, row, from, to); break;
      }
    }
  });
}

void run(const Job& job) {
  if (job.m <= 0 || job.n <= 0) return;
  if (job.m <= 4 && job.col_a == 1 && job.row_b == 1) return dot_products(job);
  if (in_tiles(job)) return compute_in_tiles(job, nullptr, slot_own);
  const int64_t panels = divide_up(job.n, tile_columns);
  if (job.m <= 2 * block_rows) return compute_panels(job, 0, panels, nullptr, 0, true);
  const int64_t slab = most(1, slab_elements / most(1, job.k * tile_columns));
  const int64_t slabs = divide_up(panels, slab);
  float* shared = thread_scratch(0, static_cast<size_t>(divide_up(panels, slabs) * job.k * tile_columns + VW) * sizeof(float), slot_shared);
  for (int64_t s = 0; s < slabs; ++s) {
    const int64_t from = panels * s / slabs;
    const int64_t to = panels * (s + 1) / slabs;
    pack_panels(job.b, job.row_b, job.col_b, job.n, job.k, from, to, shared);
    compute_panels(job, from, to, shared, from, false);
  }
}

}  // namespace

void matmul_f32(const float* a, const float* b, float* c, int64_t batch, int64_t m, int64_t n, int64_t k, int64_t stride_a,
                int64_t stride_b, int64_t stride_c, int64_t row_a, int64_t col_a, int64_t row_b, int64_t col_b, int64_t ldc,
                float alpha, float beta) {
  if (batch <= 0 || m <= 0 || n <= 0) return;
  if (k < 0) k = 0;
  // One B for all items of A that lie one after another: a single, taller product.
  if (batch > 1 && stride_b == 0 && (m == 1 || (stride_a == m * row_a && stride_c == m * ldc))) {
    if (m == 1) row_a = stride_a, ldc = stride_c;
    m *= batch;
    batch = 1;
  }
  // Strides along an axis of length one are free: choose those that make the fast cases.
  if (k == 1) col_a = row_b = 1;
  if (m == 1) row_a = col_a == 1 ? k : 1;
  if (n == 1) col_b = row_b == 1 ? k : 1;
  Job job{};
  job.m = m, job.n = n, job.k = k;
  job.row_a = row_a, job.col_a = col_a, job.row_b = row_b, job.col_b = col_b, job.ldc = ldc, job.col_c = 1;
  job.alpha = alpha, job.beta = beta;
  const bool swapped = n <= VW / 2 && m > n;
  if (swapped) {
    // Few columns: the transposed product fills vectors better.
    job.m = n, job.n = m;
    job.row_a = col_b, job.col_a = row_b, job.row_b = col_a, job.col_b = row_a;
    job.ldc = 1, job.col_c = ldc;
  }
  const auto item = [&](int64_t index) {
    Job one = job;
    const float* left = a + index * stride_a;
    const float* right = b + index * stride_b;
    one.a = swapped ? right : left;
    one.b = swapped ? left : right;
    one.c = c + index * stride_c;
    run(one);
  };
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k + 1);
  const int64_t threads = thread_count();
  if (batch == 1 || (batch < 2 * threads && work > 8 * serial_work)) {
    for (int64_t index = 0; index < batch; ++index) item(index);
    return;
  }
  const int64_t group = work >= serial_work ? 1 : most(1, least(divide_up(batch, threads), static_cast<int64_t>(serial_work / work)));
  parallel(divide_up(batch, group), [&](int64_t index, int) {
    for (int64_t i = index * group; i < least(batch, (index + 1) * group); ++i) item(i);
  });
}

int64_t packed_weight_bytes(int64_t n, int64_t k) {
  return divide_up(divide_up(n, tile_columns) * tile_columns * k * static_cast<int64_t>(sizeof(float)), 64) * 64;
}

void pack_weight_f32(const float* w, float* packed, int64_t n, int64_t k) {
  pack_panels(w, 1, k, n, k, 0, divide_up(n, tile_columns), packed);
}

namespace {

Job linear_job(const float* x, const float* bias, float* y, int64_t m, int64_t n, int64_t k, int64_t ldx, int64_t ldy,
               int32_t activation, float* preactivation, const float* residual) {
  Job job{};
  job.a = x, job.row_a = ldx, job.col_a = 1;
  job.c = y, job.ldc = ldy, job.col_c = 1;
  job.m = m, job.n = n, job.k = k;
  job.linear = true;
  job.bias = bias, job.activation = static_cast<Activation>(activation);
  job.preactivation = preactivation, job.residual = residual;
  return job;
}

}  // namespace

void linear_packed_f32(const float* x, const float* packed, const float* bias, float* y, int64_t m, int64_t n, int64_t k,
                       int64_t ldx, int64_t ldy, int32_t activation, float* preactivation, const float* residual) {
  if (m <= 0 || n <= 0) return;
  const Job job = linear_job(x, bias, y, m, n, k, ldx, ldy, activation, preactivation, residual);
  if (in_tiles(job)) compute_in_tiles(job, packed, slot_own);
  else compute_panels(job, 0, divide_up(n, tile_columns), packed, 0, false);
}

void linear_f32(const float* x, const float* w, const float* bias, float* y, int64_t m, int64_t n, int64_t k, int64_t ldx,
                int64_t ldy, int32_t activation, float* preactivation, const float* residual) {
  if (m <= 0 || n <= 0) return;
  Job job = linear_job(x, bias, y, m, n, k, ldx, ldy, activation, preactivation, residual);
  job.b = w, job.row_b = 1, job.col_b = k;
  run(job);
}

}  // namespace cloze::CLOZE_ISA
