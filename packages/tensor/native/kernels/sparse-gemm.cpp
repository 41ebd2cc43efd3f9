#include "sparse-gemm.h"

#include "../simd.h"
#include "../thread-pool.h"
#include "activate.h"
#include "fetch-ahead.h"
#include "gemm-kernel.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int slot_activations = 3;  // the caller's: transposed activations
constexpr int slot_results = 2;      // a thread's: results of a task, transposed

constexpr int64_t line_elements = 3 * int64_t{1} << 15;  // of transposed activations in a chunk of tokens
constexpr int64_t part_outputs = 64;                     // whose results stay in the first-level cache

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// to[c, r] = from[r, c] for `rows` x `columns`, rows `ld_from` and `ld_to` apart; rows beyond `rows` are written as 0 up to
// a multiple of VW.
void transpose_block(const float* from, int64_t ld_from, int64_t rows, int64_t columns, float* to, int64_t ld_to) {
  for (int64_t r = 0; r < rows; r += VW) {
    for (int64_t c = 0; c < columns; c += VW) {
      vf square[VW];
      const int64_t height = least(VW, rows - r), width = least(VW, columns - c);
      for (int i = 0; i < VW; ++i)
        square[i] = i >= height ? vzero() : width == VW ? loadu(from + (r + i) * ld_from + c) : load_part(from + (r + i) * ld_from + c, width);
      transpose(square);
      for (int j = 0; j < width; ++j) storeu(to + (c + j) * ld_to + r, square[j]);
    }
  }
}

// out[i, tokens] of one group: H outputs x V vectors of tokens. x: [k, ld] from this task's first token on.
template <int H, int V>
CLOZE_INLINE void group_tile(const int32_t* inputs, const float* values, int64_t blocks, const float* x, int64_t ld, float* out,
                             int64_t ld_out, int count) {
  vf sum[H][V];
  for (int i = 0; i < H; ++i)
    for (int v = 0; v < V; ++v) sum[i][v] = vzero();
  for (int64_t b = 0; b < blocks; ++b) {
    const float* line = x + inputs[b] * ld;
    const float* w = values + b * H;
    vf xs[V];
#pragma GCC unroll 12
    for (int v = 0; v < V; ++v) xs[v] = loadu(line + v * VW);
#pragma GCC unroll 16
    for (int i = 0; i < H; ++i) {
      const vf weight = broadcast(w[i]);
#pragma GCC unroll 12
      for (int v = 0; v < V; ++v) sum[i][v] = fma(xs[v], weight, sum[i][v]);
    }
  }
  for (int i = 0; i < count; ++i)
    for (int v = 0; v < V; ++v) storeu(out + i * ld_out + v * VW, sum[i][v]);
}

struct Job {
  const float* x;
  const int32_t* starts;
  const int32_t* inputs;
  const float* values;
  const float* bias;
  const float* residual;
  float* y;
  int64_t m, n, k;
};

// Results [columns, chunk] back to rows of tokens, with what follows the product.
template <Activation kind>
CLOZE_INLINE void write_back(const Job& job, const float* results, int64_t chunk, int64_t row, int64_t rows, int64_t column,
                             int64_t columns) {
  for (int64_t j = 0; j < columns; j += VW) {
    const int64_t width = least(VW, columns - j);
    const bool whole = width == VW;
    const vf bias = !job.bias ? vzero() : whole ? loadu(job.bias + column + j) : load_part(job.bias + column + j, width);
    for (int64_t t = 0; t < rows; t += VW) {
      vf square[VW];
#pragma GCC unroll 16
      for (int i = 0; i < VW; ++i) square[i] = i < width ? loadu(results + (j + i) * chunk + t) : vzero();
      transpose(square);
      const int64_t height = least(VW, rows - t);
      for (int i = 0; i < height; ++i) {
        const int64_t at = (row + t + i) * job.n + column + j;
        vf value = activate<kind>(square[i] + bias);
        if (job.residual) value += whole ? loadu(job.residual + at) : load_part(job.residual + at, width);
        if (whole) storeu(job.y + at, value);
        else store_part(job.y + at, value, width);
      }
    }
  }
}

template <int H, int V, Activation kind>
void product(const Job& job) {
  // Tokens of a task: lines of transposed activations for them stay in the second-level cache.
  constexpr int64_t step = V * VW;
  const int64_t chunk = step * most(1, least(96, line_elements / most(1, job.k)) / step);
  const int64_t chunks = divide_up(job.m, chunk);
  const int64_t groups = divide_up(job.n, H);
  float* const transposed = thread_scratch(0, static_cast<size_t>(chunks * chunk * most(1, job.k)) * sizeof(float), slot_activations);
  // Chunk after chunk: [k, chunk] each.
  const int64_t part = 128;
  const int64_t parts = divide_up(job.k, part);
  parallel(chunks * parts, [&](int64_t index, int) {
    const int64_t c = index / parts, from = index % parts * part;
    const int64_t rows = least(chunk, job.m - c * chunk);
    float* to = transposed + (c * job.k + from) * chunk;
    const int64_t columns = least(part, job.k - from);
    transpose_block(job.x + c * chunk * job.k + from, job.k, rows, columns, to, chunk);
    // Lines of tokens that do not exist are read, and must hold numbers.
    const int64_t filled = divide_up(rows, VW) * VW;
    for (int64_t j = 0; filled < chunk && j < columns; ++j)
      for (int64_t t = filled; t < chunk; ++t) to[j * chunk + t] = 0.0f;
  });
  constexpr int64_t part_groups = H >= part_outputs ? 1 : part_outputs / H;
  const int64_t all_parts = divide_up(groups, part_groups);
  const int64_t ranges = least(all_parts, divide_up(4 * thread_count(), chunks));
  parallel(chunks * ranges, [&](int64_t index, int thread) {
    const int64_t c = index / ranges, range = index % ranges;
    const int64_t rows = least(chunk, job.m - c * chunk);
    float* const results = thread_scratch(thread, static_cast<size_t>(part_groups * H * chunk) * sizeof(float), slot_results);
    const float* x = transposed + c * job.k * chunk;
    for (int64_t p = all_parts * range / ranges; p < all_parts * (range + 1) / ranges; ++p) {
      const int64_t first = p * part_groups, last = least(groups, first + part_groups);
      const int64_t column = first * H, columns = least(job.n, last * H) - column;
      for (int64_t g = first; g < last; ++g) {
        // Each group fetches a part of the results' places.
        const int64_t from = rows * (g - first) / (last - first), to = rows * (g - first + 1) / (last - first);
        fetch_results(job.y, job.residual, (c * chunk + from) * job.n + column, job.n, to - from, columns);
        const int64_t blocks = job.starts[g + 1] - job.starts[g];
        const int count = static_cast<int>(least(H, job.n - g * H));
        for (int64_t t = 0; t < rows; t += step)
          group_tile<H, V>(job.inputs + job.starts[g], job.values + static_cast<int64_t>(job.starts[g]) * H, blocks, x + t, chunk,
                           results + (g - first) * H * chunk + t, chunk, count);
      }
      write_back<kind>(job, results, chunk, c * chunk, rows, column, columns);
    }
  });
}

// ---- Blocks of 16 outputs where there are few registers ----
// There the 16 sums of a vector of tokens leave no register for what is multiplied. So lanes are outputs, as in a dense product:
// a tile is some rows of tokens by one group, its activations packed [k][rows], and results lie as they are wanted.

constexpr int64_t group_outputs = 16;
constexpr int64_t nearest_elements = 3 * int64_t{1} << 11;  // of a tile in the first-level cache
constexpr int64_t range_elements = 3 * int64_t{1} << 14;  // weights of a range of groups
constexpr int group_vectors = static_cast<int>(group_outputs / VW);
constexpr bool lanes_are_outputs = vector_registers < 32 && group_vectors == tile_vectors;

// Rows [row, row + T) of one group. x: [k, T]
template <int T, Activation kind>
void tile_of_rows(const Job& job, int64_t group, const float* x, int64_t row) {
  const int64_t column = group * group_outputs, columns = least(group_outputs, job.n - column);
  const int64_t first = job.starts[group], last = job.starts[group + 1];
  const float* w = job.values + first * group_outputs;
  const int64_t at = row * job.n + column;
  fetch_results(job.y, job.residual, at, job.n, T, columns);
  vf sum[T][group_vectors];
#pragma GCC unroll 8
  for (int i = 0; i < T; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < group_vectors; ++v) sum[i][v] = vzero();
  }
  for (int64_t b = first; b < last; ++b, w += group_outputs) {
    const float* values = x + static_cast<int64_t>(job.inputs[b]) * T;
    vf ws[group_vectors];
#pragma GCC unroll 4
    for (int v = 0; v < group_vectors; ++v) ws[v] = loadu(w + v * VW);
#pragma GCC unroll 8
    for (int i = 0; i < T; ++i) {
      const vf value = broadcast(values[i]);
#pragma GCC unroll 4
      for (int v = 0; v < group_vectors; ++v) sum[i][v] = fma(value, ws[v], sum[i][v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < group_vectors; ++v) {
    const int64_t width = columns - v * VW;
    if (width <= 0) break;
    const bool whole = width >= VW;
    const auto read = [&](const float* from) { return whole ? loadu(from) : load_part(from, width); };
    const vf bias = job.bias ? read(job.bias + column + v * VW) : vzero();
#pragma GCC unroll 8
    for (int i = 0; i < T; ++i) {
      const int64_t to = at + i * job.n + v * VW;
      vf value = activate<kind>(sum[i][v] + bias);
      if (job.residual) value += read(job.residual + to);
      if (whole) storeu(job.y + to, value);
      else store_part(job.y + to, value, width);
    }
  }
}

template <int T, Activation kind>
void tile_of_height(const Job& job, int64_t group, const float* x, int64_t row, int64_t height) {
  if (height == T) return tile_of_rows<T, kind>(job, group, x, row);
  if constexpr (T > 1) tile_of_height<T - 1, kind>(job, group, x, row, height);
}

template <Activation kind>
void product_by_rows(const Job& job) {
  // Packed rows of a task stay in the second-level cache.
  const int64_t chunk = tile_rows * most(1, line_elements / most(1, job.k) / tile_rows);
  const int64_t chunks = divide_up(job.m, chunk), groups = divide_up(job.n, group_outputs);
  const int64_t chunk_elements = divide_up(chunk * job.k + VW, 16) * 16;  // packing writes a little beyond its end
  float* const packed = thread_scratch(0, static_cast<size_t>(chunks * chunk_elements) * sizeof(float), slot_activations);
  parallel(chunks, [&](int64_t c, int) {
    float* to = packed + c * chunk_elements;
    const int64_t end = least(job.m, (c + 1) * chunk);
    for (int64_t row = c * chunk; row < end; row += tile_rows) {
      const int height = static_cast<int>(least(tile_rows, end - row));
      pack_panel(to, height, height, job.k, job.x + row * job.k, job.k, 1);
      to += height * job.k;
    }
  });
  // Inputs are read here and there, weights one after another: so a tile of rows stays in the first-level cache while groups
  // pass by (those of a range stay in the second-level one). Where it does not fit, tiles pass by a group.
  const bool tile_fits = tile_rows * job.k <= nearest_elements;
  const int64_t weights = tile_fits ? job.starts[groups] * group_outputs : 0;
  const int64_t ranges = least(groups, most(divide_up(4 * thread_count(), chunks), divide_up(weights, range_elements)));
  parallel(chunks * ranges, [&](int64_t index, int) {
    const int64_t c = index % chunks, range = index / chunks;
    const float* x = packed + c * chunk_elements;
    const int64_t start = c * chunk, end = least(job.m, start + chunk);
    const int64_t first = groups * range / ranges, last = groups * (range + 1) / ranges;
    const auto multiply = [&](int64_t row, int64_t group) {
      tile_of_height<tile_rows, kind>(job, group, x + (row - start) * job.k, row, least(tile_rows, end - row));
    };
    if (tile_fits) {
      for (int64_t row = start; row < end; row += tile_rows)
        for (int64_t group = first; group < last; ++group) multiply(row, group);
    } else {
      for (int64_t group = first; group < last; ++group)
        for (int64_t row = start; row < end; row += tile_rows) multiply(row, group);
    }
  });
}

}  // namespace

void linear_sparse_f32(const float* x, const int32_t* starts, const int32_t* inputs, const float* values, const float* bias,
                       float* y, int64_t m, int64_t n, int64_t k, int64_t height, int32_t activation, const float* residual) {
  if (m <= 0 || n <= 0) return;
  const Job job{x, starts, inputs, values, bias, residual, y, m, n, k};
  // As many sums as the registers hold beside the lines and a weight.
  constexpr bool wide = vector_registers >= 32;
  with_activation(static_cast<Activation>(activation), [&]<Activation kind>() {
    if constexpr (lanes_are_outputs) {
      if (height == group_outputs) return product_by_rows<kind>(job);
    }
    if (height == 16) product<16, 1, kind>(job);
    else if (height == 4 && wide && k <= 1024) product<4, 6, kind>(job);
    else if (height == 4) product<4, wide ? 3 : 2, kind>(job);
    else product<1, 6, kind>(job);
  });
}

}  // namespace cloze::CLOZE_ISA
