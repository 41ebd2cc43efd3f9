#include "sparse-gemm.h"

#include "../simd.h"
#include "../thread-pool.h"
#include "activate.h"
#include "fetch-ahead.h"
#include "gemm-kernel.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int slot_activations = 3;  // a thread's: packed activations of a chunk; or the caller's: of all chunks
constexpr int slot_results = 2;      // a thread's: results of a task, transposed

constexpr int64_t line_elements = 3 * int64_t{1} << 15;  // of packed activations in a chunk of rows
constexpr int64_t least_rows = 48;                       // of a chunk
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

// Rows are packed a chunk at a time, which the second-level cache holds, by the task that multiplies them: none of them has to come
// from farther away. Where there are too few chunks for all threads, all are packed first, and tasks share each by ranges of groups.
//   pack(start, end, to) packs rows [start, end); multiply(x, start, end, first, last, thread) makes outputs of groups [first, last).
template <class Pack, class Multiply>
CLOZE_INLINE void by_chunks(const Job& job, int64_t step, int64_t groups, Pack pack, Multiply multiply) {
  const int64_t k = most(1, job.k), tasks = 4 * thread_count();
  // Fewer rows at a time would read the weights too often.
  const int64_t fair = most(least_rows, divide_up(job.m, tasks));
  const int64_t chunk = step * most(1, least(fair, line_elements / k) / step);
  const int64_t chunks = divide_up(job.m, chunk);
  const int64_t elements = divide_up(chunk * k + VW, 16) * 16;  // packing writes a little beyond its end
  const auto end_of = [&](int64_t c) { return least(job.m, (c + 1) * chunk); };
  const auto scratch = [&](int thread, int64_t count) {
    return thread_scratch(thread, static_cast<size_t>(count * elements) * sizeof(float), slot_activations);
  };
  if (chunks >= tasks) {
    parallel(chunks, [&](int64_t c, int thread) {
      float* const x = scratch(thread, 1);
      pack(c * chunk, end_of(c), x);
      multiply(x, c * chunk, end_of(c), 0, groups, thread);
    });
    return;
  }
  float* const packed = scratch(0, chunks);
  parallel(chunks, [&](int64_t c, int) { pack(c * chunk, end_of(c), packed + c * elements); });
  const int64_t ranges = least(groups, divide_up(tasks, chunks));
  parallel(chunks * ranges, [&](int64_t index, int thread) {
    const int64_t c = index / ranges, range = index % ranges;
    multiply(packed + c * elements, c * chunk, end_of(c), groups * range / ranges, groups * (range + 1) / ranges, thread);
  });
}

template <int H, int V, Activation kind>
void product(const Job& job) {
  constexpr int64_t step = V * VW;
  constexpr int64_t part_groups = H >= part_outputs ? 1 : part_outputs / H;
  // Lines of all tokens of a chunk: [k, lines]
  const auto lines_of = [](int64_t rows) { return divide_up(rows, step) * step; };
  const auto pack = [&](int64_t start, int64_t end, float* to) {
    const int64_t rows = end - start, lines = lines_of(rows);
    transpose_block(job.x + start * job.k, job.k, rows, job.k, to, lines);
    // Lines of tokens that do not exist are read, and must hold numbers.
    for (int64_t j = 0; j < job.k; ++j)
      for (int64_t t = divide_up(rows, VW) * VW; t < lines; ++t) to[j * lines + t] = 0.0f;
  };
  by_chunks(job, step, divide_up(job.n, H), pack, [&](const float* x, int64_t start, int64_t end, int64_t from, int64_t to, int thread) {
    const int64_t rows = end - start, lines = lines_of(rows);
    float* const results = thread_scratch(thread, static_cast<size_t>(part_groups * H * lines) * sizeof(float), slot_results);
    for (int64_t first = from; first < to; first += part_groups) {
      const int64_t last = least(to, first + part_groups);
      const int64_t column = first * H, columns = least(job.n, last * H) - column;
      for (int64_t g = first; g < last; ++g) {
        // Each group fetches a part of the results' places.
        const int64_t fetch_from = rows * (g - first) / (last - first), fetch_to = rows * (g - first + 1) / (last - first);
        fetch_results(job.y, job.residual, (start + fetch_from) * job.n + column, job.n, fetch_to - fetch_from, columns);
        const int64_t blocks = job.starts[g + 1] - job.starts[g];
        const int count = static_cast<int>(least(H, job.n - g * H));
        for (int64_t t = 0; t < rows; t += step)
          group_tile<H, V>(job.inputs + job.starts[g], job.values + static_cast<int64_t>(job.starts[g]) * H, blocks, x + t, lines,
                           results + (g - first) * H * lines + t, lines, count);
      }
      write_back<kind>(job, results, lines, start, rows, column, columns);
    }
  });
}

// ---- Blocks of 16 outputs ----
// Rows are packed in panels of a tile's height, and results go from registers to where they are wanted. Where 16 sums leave
// registers for what is multiplied (AVX-512), lanes are tokens and the sums, a square, turn at the end. Where not, lanes are
// outputs, as in a dense product.

constexpr int64_t group_outputs = 16;
constexpr int64_t nearest_elements = 3 * int64_t{1} << 11;  // of a panel in the first-level cache
constexpr int64_t weights_elements = 3 * int64_t{1} << 14;  // of groups that pass by it
constexpr int group_vectors = static_cast<int>(group_outputs / VW);
constexpr bool lanes_are_tokens = VW == group_outputs && vector_registers >= 32;
constexpr bool lanes_are_outputs = !lanes_are_tokens && group_vectors == tile_vectors;
constexpr int panel_rows = lanes_are_tokens ? VW : tile_rows;

// Results of `rows` rows of at most T go where they are wanted, with what follows the product. sum: [T, group_outputs]
template <int T, Activation kind>
CLOZE_INLINE void finish_rows(const Job& job, int64_t group, int64_t row, int64_t rows, const vf (&sum)[T][group_vectors]) {
  const int64_t column = group * group_outputs, columns = least(group_outputs, job.n - column);
#pragma GCC unroll 4
  for (int v = 0; v < group_vectors; ++v) {
    const int64_t width = columns - v * VW;
    if (width <= 0) break;
    const bool whole = width >= VW;
    const auto read = [&](const float* from) { return whole ? loadu(from) : load_part(from, width); };
    const vf bias = job.bias ? read(job.bias + column + v * VW) : vzero();
#pragma GCC unroll 16
    for (int i = 0; i < T; ++i) {
      if (i >= rows) break;
      const int64_t to = (row + i) * job.n + column + v * VW;
      vf value = activate<kind>(sum[i][v] + bias);
      if (job.residual) value += read(job.residual + to);
      if (whole) storeu(job.y + to, value);
      else store_part(job.y + to, value, width);
    }
  }
}

// Rows [row, row + T) of one group; lanes are outputs. x: [k, T]
template <int T, Activation kind>
void tile_by_outputs(const Job& job, int64_t group, const float* x, int64_t row) {
  const int64_t first = job.starts[group], last = job.starts[group + 1];
  const float* w = job.values + first * group_outputs;
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
  finish_rows<T, kind>(job, group, row, T, sum);
}

template <int T, Activation kind>
CLOZE_INLINE void tile_of_height(const Job& job, int64_t group, const float* x, int64_t row, int64_t rows) {
  if (rows == T) return tile_by_outputs<T, kind>(job, group, x, row);
  if constexpr (T > 1) tile_of_height<T - 1, kind>(job, group, x, row, rows);
}

// `rows` rows (at most VW) of one group; lanes are tokens. x: [k, VW]
template <Activation kind>
void tile_by_tokens(const Job& job, int64_t group, const float* x, int64_t row, int64_t rows) {
  const int64_t first = job.starts[group], last = job.starts[group + 1];
  const float* w = job.values + first * group_outputs;
  vf square[VW];
#pragma GCC unroll 16
  for (int i = 0; i < VW; ++i) square[i] = vzero();
  for (int64_t b = first; b < last; ++b, w += group_outputs) {
    const vf values = loadu(x + static_cast<int64_t>(job.inputs[b]) * VW);
#pragma GCC unroll 16
    for (int i = 0; i < VW; ++i) square[i] = fma(values, broadcast(w[i]), square[i]);
  }
  transpose(square);
  vf sum[VW][group_vectors];
#pragma GCC unroll 16
  for (int i = 0; i < VW; ++i) sum[i][0] = square[i];
  finish_rows<VW, kind>(job, group, row, rows, sum);
}

template <Activation kind>
void product_by_panels(const Job& job) {
  const auto pack = [&](int64_t start, int64_t end, float* to) {
    for (int64_t row = start; row < end; row += panel_rows) {
      const int height = static_cast<int>(least(panel_rows, end - row));
      pack_panel(to, lanes_are_tokens ? VW : height, height, job.k, job.x + row * job.k, job.k, 1);
      to += panel_rows * job.k;
    }
  };
  const int64_t groups = divide_up(job.n, group_outputs);
  // Inputs are read here and there, weights one after another: a panel that the first-level cache holds stays there while groups
  // pass by (whose weights stay in the second-level one). Where it is larger, panels pass by a group.
  const int64_t weights = most(1, job.starts[groups] * group_outputs);
  const int64_t at_once = panel_rows * job.k <= nearest_elements ? most(1, groups * weights_elements / weights) : 1;
  by_chunks(job, panel_rows, groups, pack, [&](const float* x, int64_t start, int64_t end, int64_t first, int64_t last, int) {
    for (int64_t from = first; from < last; from += at_once) {
      for (int64_t row = start; row < end; row += panel_rows) {
        const int64_t rows = least(panel_rows, end - row);
        const float* panel = x + (row - start) * job.k;
        for (int64_t group = from; group < least(last, from + at_once); ++group) {
          const int64_t column = group * group_outputs;
          fetch_results(job.y, job.residual, row * job.n + column, job.n, rows, least(group_outputs, job.n - column));
          if constexpr (lanes_are_tokens) tile_by_tokens<kind>(job, group, panel, row, rows);
          else tile_of_height<tile_rows, kind>(job, group, panel, row, rows);
        }
      }
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
    if constexpr (lanes_are_tokens || lanes_are_outputs) {
      if (height == group_outputs) return product_by_panels<kind>(job);
    }
    if (height == 16) product<16, 1, kind>(job);
    else if (height == 4 && wide && k <= 1024) product<4, 6, kind>(job);
    else if (height == 4) product<4, wide ? 3 : 2, kind>(job);
    else product<1, 6, kind>(job);
  });
}

}  // namespace cloze::CLOZE_ISA
