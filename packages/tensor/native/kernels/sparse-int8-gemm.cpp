#include "sparse-int8-gemm.h"

#include "../simd.h"
#include "../thread-pool.h"
#include "activate.h"
#include "fetch-ahead.h"
#include "transpose.h"
#include "int8-dot.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int slot_activations = 3;  // the caller's: transposed codes
constexpr int slot_results = 2;      // a thread's: sums of a task, transposed, and gathered codes behind them

constexpr int64_t chunk = 64;         // tokens of a task
constexpr int64_t part_outputs = 64;  // whose sums stay in the first-level cache
constexpr int64_t gathered_steps = 64;

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

#if defined(__AVX512VNNI__)
constexpr int vectors = chunk / VW;  // of tokens in a register tile
typedef uint8_t Lane;                // of a line: the code of one input for each token
#else
constexpr int vectors = 2;
typedef int32_t Lane;
#endif

// Codes of steps that follow each other: [steps, chunk] of 32 bits, from rows `ld` steps apart. Absent tokens become 0.
void transpose_steps(const int32_t* from, int64_t ld, int64_t rows, int64_t steps, int32_t* to) {
  for (int64_t r = 0; r < chunk; r += VW) {
    for (int64_t c = 0; c < steps; c += VW) {
      vf square[VW];
      const int64_t height = least(VW, rows - r), width = least(VW, steps - c);
      for (int i = 0; i < VW; ++i) {
        const float* line = reinterpret_cast<const float*>(from) + (r + i) * ld + c;
        square[i] = i >= height ? vzero() : width == VW ? loadu(line) : load_part(line, width);
      }
      transpose(square);
      for (int j = 0; j < width; ++j) storeu(reinterpret_cast<float*>(to) + (c + j) * chunk + r, square[j]);
    }
  }
}

#if defined(__AVX512VNNI__)
// Forms of unpack that no compiler takes for reading what was never written.
typedef __m512i bits;
CLOZE_INLINE bits low8(bits a, bits b) { return _mm512_maskz_unpacklo_epi8(~__mmask64{0}, a, b); }
CLOZE_INLINE bits high8(bits a, bits b) { return _mm512_maskz_unpackhi_epi8(~__mmask64{0}, a, b); }
CLOZE_INLINE bits low16(bits a, bits b) { return _mm512_maskz_unpacklo_epi16(~__mmask32{0}, a, b); }
CLOZE_INLINE bits high16(bits a, bits b) { return _mm512_maskz_unpackhi_epi16(~__mmask32{0}, a, b); }
CLOZE_INLINE bits low32(bits a, bits b) { return _mm512_maskz_unpacklo_epi32(0xffff, a, b); }
CLOZE_INLINE bits high32(bits a, bits b) { return _mm512_maskz_unpackhi_epi32(0xffff, a, b); }
CLOZE_INLINE bits low64(bits a, bits b) { return _mm512_maskz_unpacklo_epi64(0xff, a, b); }
CLOZE_INLINE bits high64(bits a, bits b) { return _mm512_maskz_unpackhi_epi64(0xff, a, b); }

// From steps to lines of one input each. The tokens of a line stand in the order that `gather` undoes: within each quarter of
// a vector, four tokens of each of the four vectors of a step.
void lines_of_step(const int32_t* step, Lane* to) {
  alignas(16) static constexpr uint8_t order[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  const bits by_code = _mm512_maskz_broadcast_i32x4(0xffff, _mm_load_si128(reinterpret_cast<const __m128i*>(order)));
  const auto part = [&](int v) {
    return _mm512_maskz_shuffle_epi8(~__mmask64{0}, _mm512_loadu_si512(step + v * VW), by_code);
  };
  const bits a = part(0), b = part(1), c = part(2), d = part(3);
  const bits ab0 = low32(a, b), ab1 = high32(a, b), cd0 = low32(c, d), cd1 = high32(c, d);
  _mm512_storeu_si512(to, low64(ab0, cd0));
  _mm512_storeu_si512(to + chunk, high64(ab0, cd0));
  _mm512_storeu_si512(to + 2 * chunk, low64(ab1, cd1));
  _mm512_storeu_si512(to + 3 * chunk, high64(ab1, cd1));
}
// The codes of four lines side by side, for tokens in their order.
CLOZE_INLINE void gather(const Lane* lines, const int32_t* inputs, vi* x) {
  const auto line = [&](int p) { return _mm512_loadu_si512(lines + inputs[p] * chunk); };
  const bits a = line(0), b = line(1), c = line(2), d = line(3);
  const bits ab0 = low8(a, b), ab1 = high8(a, b), cd0 = low8(c, d), cd1 = high8(c, d);
  x[0] = reinterpret_cast<vi>(low16(ab0, cd0));
  x[1] = reinterpret_cast<vi>(high16(ab0, cd0));
  x[2] = reinterpret_cast<vi>(low16(ab1, cd1));
  x[3] = reinterpret_cast<vi>(high16(ab1, cd1));
}
#else
void lines_of_step(const int32_t* step, Lane* to) {
  for (int64_t t = 0; t < chunk; t += VW) {
    const vi x = loadu_i(step + t);
    storeu_i(to + t, x & 0xffff);
    storeu_i(to + chunk + t, (x >> 16) & 0xffff);
  }
}
CLOZE_INLINE void gather(const Lane* lines, const int32_t* inputs, vi* x) {
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v)
    x[v] = loadu_i(lines + inputs[0] * chunk + v * VW) | (loadu_i(lines + inputs[1] * chunk + v * VW) << 16);
}
#endif

// sums[i, tokens] (+)= the steps of R of `height` outputs, for `vectors` vectors of tokens. read(step, x) gives their codes.
template <int R, class Read>
CLOZE_INLINE void multiply(int64_t steps, const int32_t* weights, int64_t height, int32_t* sums, bool add, Read read) {
  vi sum[R][vectors];
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < vectors; ++v) sum[i][v] = add ? loadu_i(sums + i * chunk + v * VW) : vi{};
  for (int64_t s = 0; s < steps; ++s) {
    vi x[vectors];
    read(s, x);
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) {
      const vi weight = broadcast_i(weights[s * height + i]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sum[i][v] = dot_step(sum[i][v], x[v], weight);
    }
  }
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < vectors; ++v) storeu_i(sums + i * chunk + v * VW, sum[i][v]);
}

struct Job {
  const int32_t* codes;  // [m, steps]
  const float* rows;     // [m, 2]: scale, zero
  const int32_t* starts;
  const int32_t* inputs;
  const int32_t* weights;
  const float* columns;  // [2, n]
  const float* bias;
  const float* residual;
  float* y;
  int64_t m, n, steps;
};

// Sums [columns, chunk] to rows of tokens, with what follows the product.
template <Activation kind>
CLOZE_INLINE void write_back(const Job& job, const int32_t* sums, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  for (int64_t j = 0; j < columns; j += VW) {
    const int64_t width = least(VW, columns - j);
    const bool whole = width == VW;
    const auto read = [&](const float* p) { return whole ? loadu(p + column + j) : load_part(p + column + j, width); };
    const vf bias = job.bias ? read(job.bias) : vzero(), scale = read(job.columns);
    const vi codes = to_int(read(job.columns + job.n));
    for (int64_t t = 0; t < rows; t += VW) {
      vf square[VW];
#pragma GCC unroll 16
      for (int i = 0; i < VW; ++i)
        square[i] = i < width ? as_float(loadu_i(sums + (j + i) * chunk + t)) : vzero();
      transpose(square);
      const int64_t height = least(VW, rows - t);
      for (int i = 0; i < height; ++i) {
        const float* parameters = job.rows + 2 * (row + t + i);
        const vi exact = as_int(square[i]) - codes * broadcast_i(static_cast<int32_t>(parameters[1]));
        const int64_t at = (row + t + i) * job.n;
        vf value = activate<kind>(fma(to_float(exact), scale * parameters[0], bias));
        if (job.residual) value += read(job.residual + at);
        if (whole) storeu(job.y + at + column + j, value);
        else store_part(job.y + at + column + j, value, width);
      }
    }
  }
}

template <int H, bool runs, Activation kind>
void product(const Job& job) {
  const int64_t chunks = divide_up(job.m, chunk), groups = divide_up(job.n, H), steps = job.steps;
  // Steps of a chunk, and where inputs are gathered lines too.
  const int64_t step_bytes = chunk * 4, line_bytes = runs ? 0 : per_step * chunk * static_cast<int64_t>(sizeof(Lane));
  auto* const transposed = reinterpret_cast<char*>(thread_scratch(
      0, static_cast<size_t>(chunks * most(1, steps) * (runs ? step_bytes : line_bytes)), slot_activations));
  constexpr int64_t part = 64;
  const int64_t parts = divide_up(steps, part);
  parallel(chunks * parts, [&](int64_t index, int) {
    const int64_t c = index / parts, from = index % parts * part;
    const int64_t rows = least(chunk, job.m - c * chunk), count = least(part, steps - from);
    const int32_t* source = job.codes + c * chunk * steps + from;
    if constexpr (runs) {
      transpose_steps(source, steps, rows, count, reinterpret_cast<int32_t*>(transposed) + (c * steps + from) * chunk);
    } else {
      alignas(64) int32_t block[part * chunk];
      transpose_steps(source, steps, rows, count, block);
      auto* to = reinterpret_cast<Lane*>(transposed) + (c * steps + from) * per_step * chunk;
      for (int64_t s = 0; s < count; ++s) lines_of_step(block + s * chunk, to + s * per_step * chunk);
    }
  });
  constexpr int64_t part_groups = part_outputs / H;
  const int64_t all_parts = divide_up(groups, part_groups);
  const int64_t ranges = least(all_parts, divide_up(4 * thread_count(), chunks));
  constexpr int64_t width = vectors * VW;
  parallel(chunks * ranges, [&](int64_t index, int thread) {
    const int64_t c = index / ranges, range = index % ranges;
    const int64_t rows = least(chunk, job.m - c * chunk);
    constexpr int64_t sum_elements = part_outputs * chunk, gathered_elements = H > 4 ? gathered_steps * width : 0;
    auto* const sums = reinterpret_cast<int32_t*>(
        thread_scratch(thread, static_cast<size_t>(sum_elements + gathered_elements) * sizeof(int32_t), slot_results));
    int32_t* const gathered = sums + sum_elements;
    for (int64_t p = all_parts * range / ranges; p < all_parts * (range + 1) / ranges; ++p) {
      const int64_t first = p * part_groups, last = least(groups, first + part_groups);
      const int64_t column = first * H, columns = least(job.n, last * H) - column;
      for (int64_t g = first; g < last; ++g) {
        // Each group fetches a part of the results' places.
        const int64_t fetch_from = rows * (g - first) / (last - first), fetch_to = rows * (g - first + 1) / (last - first);
        fetch_results(job.y, job.residual, (c * chunk + fetch_from) * job.n + column, job.n, fetch_to - fetch_from, columns);
        const int64_t begin = job.starts[g], count = job.starts[g + 1] - begin;
        const int32_t* weights = job.weights + begin * H;
        int32_t* const to = sums + (g - first) * H * chunk;
        for (int64_t t = 0; t < rows; t += width) {
          if constexpr (runs) {
            const auto* x = reinterpret_cast<const int32_t*>(transposed) + c * steps * chunk + t;
            multiply<1>(count, weights, 1, to + t, false, [&](int64_t s, vi* codes) __attribute__((always_inline)) {
              const int32_t* line = x + job.inputs[begin + s] * chunk;
#pragma GCC unroll 4
              for (int v = 0; v < vectors; ++v) codes[v] = loadu_i(line + v * VW);
            });
          } else {
            const auto* x = reinterpret_cast<const Lane*>(transposed) + c * steps * per_step * chunk + t;
            const int32_t* inputs = job.inputs + begin * per_step;
            const auto read = [&](int64_t s, vi* codes) __attribute__((always_inline)) { gather(x, inputs + s * per_step, codes); };
            if constexpr (H <= 4) {
              multiply<H>(count, weights, H, to + t, false, read);
            } else {
              // Gathered once, multiplied with four outputs at a time.
              for (int64_t i = 0; count == 0 && i < H; ++i)
                for (int v = 0; v < vectors; ++v) storeu_i(to + i * chunk + t + v * VW, vi{});
              for (int64_t from = 0; from < count; from += gathered_steps) {
                const int64_t some = least(gathered_steps, count - from);
                for (int64_t s = 0; s < some; ++s) {
                  vi codes[vectors];
                  read(from + s, codes);
#pragma GCC unroll 4
                  for (int v = 0; v < vectors; ++v) storeu_i(gathered + s * width + v * VW, codes[v]);
                }
                for (int i = 0; i < H; i += 4)
                  multiply<4>(some, weights + from * H + i, H, to + i * chunk + t, from > 0,
                              [&](int64_t s, vi* codes) __attribute__((always_inline)) {
#pragma GCC unroll 4
                                for (int v = 0; v < vectors; ++v) codes[v] = loadu_i(gathered + s * width + v * VW);
                              });
              }
            }
          }
        }
      }
      write_back<kind>(job, sums, c * chunk, rows, column, columns);
    }
  });
}

}  // namespace

void linear_sparse_int8_f32(const void* codes, const float* parameters, const int32_t* starts, const int32_t* inputs,
                            const void* weights, const float* columns, const float* bias, float* y, int64_t m, int64_t n,
                            int64_t k, int64_t height, int32_t runs, int32_t activation, const float* residual) {
  if (m <= 0 || n <= 0) return;
  const Job job{static_cast<const int32_t*>(codes), parameters, starts, inputs, static_cast<const int32_t*>(weights), columns,
                bias, residual, y, m, n, steps_of(k)};
  with_activation(static_cast<Activation>(activation), [&]<Activation kind>() {
    if (runs) product<1, true, kind>(job);
    else if (height == 16) product<16, false, kind>(job);
    else if (height == 4) product<4, false, kind>(job);
    else product<1, false, kind>(job);
  });
}

}  // namespace cloze::CLOZE_ISA
