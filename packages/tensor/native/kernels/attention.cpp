// Tiles of queries against the keys of a sequence that they see: scores stay in the cache, and their products with the keys
// and values are small matrix products. Items are (sequence, head), or (sequence, head, tile) in the forward pass.
#include "attention.h"

#include "../thread-pool.h"
#include "../vector-math.h"
#include "../vector-random.h"
#include "gemm-kernel.h"
#include "gemm.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int64_t tile = 128;

struct Range {
  int64_t first, last;
};

// The keys that query `row` sees, as positions in its sequence.
Range visible(int64_t row, int64_t length, int32_t causal, int64_t window) {
  Range range{0, length};
  if (window > 0) {
    range.first = row > window ? row - window : 0;
    range.last = row + window + 1 < length ? row + window + 1 : length;
  }
  if (causal && range.last > row + 1) range.last = row + 1;
  return range;
}

// p holds the probabilities of the keys `first` to first + count.
void apply_dropout(float* p, int64_t first, int64_t count, uint32_t key, uint32_t threshold) {
  const auto place = static_cast<uint32_t>(first);
  int64_t i = 0;
  for (; i + VW <= count; i += VW)
    storeu(p + i, select(dropped_lanes(key, place + static_cast<uint32_t>(i), threshold), vzero(), loadu(p + i)));
  for (; i < count; ++i)
    if (random_bits(key, place + static_cast<uint32_t>(i)) < threshold) p[i] = 0.0f;
}

// p[i] = exp(s[i] * scale - shift) over a row, zero outside the range; returns the sum.
float exponentials(float* s, Range range, int64_t length, float scale, float shift) {
  for (int64_t i = 0; i < range.first; ++i) s[i] = 0.0f;
  for (int64_t i = range.last; i < length; ++i) s[i] = 0.0f;
  vf sum = vzero();
  int64_t i = range.first;
  for (; i + VW <= range.last; i += VW) {
    const vf e = vexp(loadu(s + i) * scale - shift);
    storeu(s + i, e);
    sum += e;
  }
  if (i < range.last) {
    const int64_t n = range.last - i;
    const vf e = select(lanes() < broadcast_i(static_cast<int32_t>(n)), vexp(load_part(s + i, n) * scale - shift), vzero());
    store_part(s + i, e, n);
    sum += e;
  }
  return reduce_sum(sum);
}

float largest(const float* s, Range range) {
  vf most = broadcast(-__builtin_inff());
  int64_t i = range.first;
  for (; i + VW <= range.last; i += VW) most = vmax(loadu(s + i), most);
  if (i < range.last) most = vmax(load_part(s + i, range.last - i, -__builtin_inff()), most);
  return reduce_max(most);
}

// Takes the keys that only they themselves see from the scores s of the query `own`. hidden: of the key of s[0].
void hide(float* s, const int32_t* hidden, Range range, int64_t own) {
  const float mine = s[own];
  for (int64_t i = range.first; i < range.last; ++i) s[i] = hidden[i] ? -__builtin_inff() : s[i];
  s[own] = mine;
}

float dot(const float* a, const float* b, int64_t count) {
  vf sum = vzero();
  int64_t i = 0;
  for (; i + VW <= count; i += VW) sum = fma(loadu(a + i), loadu(b + i), sum);
  if (i < count) sum = fma(load_part(a + i, count - i), load_part(b + i, count - i), sum);
  return reduce_sum(sum);
}

int64_t most_tiles(const int32_t* offsets, int64_t sequences) {
  int64_t longest = 0;
  for (int64_t s = 0; s < sequences; ++s) longest = offsets[s + 1] - offsets[s] > longest ? offsets[s + 1] - offsets[s] : longest;
  return (longest + tile - 1) / tile;
}

// One tile of queries of one sequence and head, as attention_f32 sees it.
struct Tile {
  const float* q;  // first query of the tile
  const float* k;  // first key of the sequence
  const float* v;
  float* out;
  float* log_sums;
  int64_t first, rows, length, size;
  int64_t ldq, ldk, ldv, ldo;
  float scale, keep;
  int32_t causal;
  int64_t window;
  uint32_t threshold;
  uint32_t seed, place;  // of the first query among all rows of the probabilities
  // Of the head, for distance 0; null: none.
  const float* distance_bias;
  const float* distance_keys;
  const float* distance_queries;
  int64_t heads;
  const int32_t* hidden;  // of the sequence; null: none
};

inline int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

// What distances add to the scores of a tile. Distance `first + c` stands in packed column c; key j (from `low` on) and query r
// of the tile are j - r + rows - 1 apart, as packed columns count.
struct Distances {
  const Tile& t;
  int64_t low, keys;
  float* packed_keys;     // [size, columns] in panels
  float* packed_queries;
  float* products;        // of some queries with distances: [tile_rows, columns]
  float* by_key;          // of all keys with distances: [keys, key_columns]

  static int64_t columns(const Tile& t, int64_t keys) { return round_up(keys + t.rows + tile_columns, tile_columns); }
  static int64_t key_columns(const Tile& t) { return round_up(t.rows + tile_rows + tile_columns, tile_columns); }
  static int64_t packed_elements(const Tile& t, int64_t keys) { return columns(t, keys) * t.size + VW; }
  static int64_t elements(const Tile& t, int64_t keys) {
    return (t.distance_keys ? packed_elements(t, keys) + tile_rows * columns(t, keys) : 0) +
           (t.distance_queries ? packed_elements(t, keys) + keys * key_columns(t) : 0);
  }

  Distances(const Tile& tile, int64_t lowest_key, int64_t key_count, float* scratch) : t(tile), low(lowest_key), keys(key_count) {
    packed_keys = scratch;
    products = packed_keys + (t.distance_keys ? packed_elements(t, keys) : 0);
    packed_queries = products + (t.distance_keys ? tile_rows * columns(t, keys) : 0);
    by_key = packed_queries + (t.distance_queries ? packed_elements(t, keys) : 0);
    if (t.distance_keys) pack(t.distance_keys, packed_keys);
    if (!t.distance_queries) return;
    pack(t.distance_queries, packed_queries);
    for (int64_t j = 0; j < keys; j += tile_rows) {
      const int height = static_cast<int>(keys - j < tile_rows ? keys - j : tile_rows);
      multiply(t.k + (low + j) * t.ldk, t.ldk, height, packed_queries, j, j + height + t.rows - 1, by_key + j * key_columns(t),
               key_columns(t));
    }
  }

  void pack(const float* table, float* to) const {
    const int64_t first = low - (t.first + t.rows - 1), width = keys + t.rows - 1, stride = t.heads * t.size;
    for (int64_t c = 0; c < width; c += tile_columns)
      pack_panel(to + c * t.size, tile_columns, static_cast<int>(width - c < tile_columns ? width - c : tile_columns), t.size,
                 table + (first + c) * stride, stride, 1);
  }

  // Rows of x times the packed columns `from` to `to`; column c comes to stand at c - (from rounded down to a panel).
  void multiply(const float* x, int64_t ldx, int height, const float* packed, int64_t from, int64_t to, float* y, int64_t ldy) const {
    const int64_t start = from / tile_columns * tile_columns;
    const TileKernel product = tile_kernel(height, tile_vectors, true);
    for (int64_t c = start; c < to; c += tile_columns)
      product(t.size, x, ldx, packed + c * t.size, tile_columns, y + (c - start), ldy, false, {});
  }

  // Adds to the scores [height, end - begin] of the queries from `from` on and the keys `begin` to `end`.
  void add(float* scores, int64_t stride, int64_t from, int height, int64_t begin, int64_t end) const {
    if (t.distance_bias) {
      for (int i = 0; i < height; ++i) {
        const float* bias = t.distance_bias + (low - (t.first + from + i)) * t.heads;
        for (int64_t j = begin; j < end; ++j) scores[i * stride + j - begin] += bias[j * t.heads];
      }
    }
    if (t.distance_keys) {
      const int64_t shift = t.rows - 1 - from, lowest = begin + shift - (height - 1), ld = columns(t, keys);
      multiply(t.q + from * t.ldq, t.ldq, height, packed_keys, lowest, end + shift, products, ld);
      for (int i = 0; i < height; ++i) {
        const float* row = products + i * ld + (begin + shift - i - lowest / tile_columns * tile_columns);
        for (int64_t j = 0; j < end - begin; ++j) scores[i * stride + j] += row[j];
      }
    }
    if (t.distance_queries) {
      const int64_t ld = key_columns(t);
      for (int64_t j = begin; j < end; ++j) {
        const int64_t start = j / tile_rows * tile_rows / tile_columns * tile_columns;
        const float* row = by_key + j * ld + (j - from + t.rows - 1 - start);
        for (int i = 0; i < height; ++i) scores[i * stride + j - begin] += row[-i];
      }
    }
  }
};

// Keys and values are packed once for the tile; then few queries at a time go from scores to their result, so that scores
// never leave the first-level cache.
void attend_tile(const Tile& t, int thread) {
  const int64_t low = visible(t.first, t.length, t.causal, t.window).first;
  const int64_t high = visible(t.first + t.rows - 1, t.length, t.causal, t.window).last;
  const int64_t keys = high - low, padded = round_up(keys, tile_columns);
  const int64_t value_panels = (t.size + tile_columns - 1) / tile_columns;
  const int64_t key_elements = padded * t.size + VW, value_elements = value_panels * keys * tile_columns + VW;
  const bool relative = t.distance_bias || t.distance_keys || t.distance_queries;
  const int64_t score_elements = tile_rows * padded + VW;
  const int64_t elements = key_elements + value_elements + score_elements + (relative ? Distances::elements(t, keys) : 0);
  float* const packed_keys = thread_scratch(thread, static_cast<size_t>(elements) * sizeof(float), 0);
  float* const packed_values = packed_keys + key_elements;
  float* const scores = packed_values + value_elements;
  for (int64_t c = 0; c < keys; c += tile_columns)
    pack_panel(packed_keys + c * t.size, tile_columns, static_cast<int>(keys - c < tile_columns ? keys - c : tile_columns), t.size,
               t.k + (low + c) * t.ldk, t.ldk, 1);
  for (int64_t c = 0; c < t.size; c += tile_columns)
    pack_panel(packed_values + c * keys, tile_columns, static_cast<int>(t.size - c < tile_columns ? t.size - c : tile_columns), keys,
               t.v + low * t.ldv + c, 1, t.ldv);
  // Where there are none, nothing is asked of it.
  const Distances distances(t, low, keys, scores + score_elements);
  const int64_t blocks = (t.rows + tile_rows - 1) / tile_rows;
  float inverses[tile_rows];
  alignas(64) float sums[tile_rows * tile_columns];
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t from = t.rows * b / blocks;
    const int height = static_cast<int>(t.rows * (b + 1) / blocks - from);
    // The keys of these queries, from the start of a panel on.
    const int64_t begin = (visible(t.first + from, t.length, t.causal, t.window).first - low) / tile_columns * tile_columns;
    const int64_t end = visible(t.first + from + height - 1, t.length, t.causal, t.window).last - low;
    const TileKernel product = tile_kernel(height, tile_vectors, true);
    for (int64_t c = begin; c < end; c += tile_columns)
      product(t.size, t.q + from * t.ldq, t.ldq, packed_keys + c * t.size, tile_columns, scores + (c - begin), padded, false, {});
    if (relative) distances.add(scores, padded, from, height, begin, end);
    for (int i = 0; i < height; ++i) {
      float* row = scores + i * padded;
      Range range = visible(t.first + from + i, t.length, t.causal, t.window);
      range.first -= low + begin, range.last -= low + begin;
      if (t.hidden) hide(row, t.hidden + low + begin, range, t.first + from + i - low - begin);
      const float most = largest(row, range) * t.scale;
      const float sum = exponentials(row, range, end - begin, t.scale, most);
      t.log_sums[from + i] = most + __builtin_logf(sum);
      inverses[i] = t.keep / sum;
      if (t.threshold > 0)
        apply_dropout(row, low + begin, end - begin, row_key(t.seed, t.place + static_cast<uint32_t>(from + i)), t.threshold);
    }
    for (int64_t c = 0; c < t.size; c += tile_columns) {
      const int64_t width = t.size - c < tile_columns ? t.size - c : tile_columns;
      product(end - begin, scores, padded, packed_values + c * keys + begin * tile_columns, tile_columns, sums, tile_columns, false, {});
      for (int i = 0; i < height; ++i) {
        float* to = t.out + (from + i) * t.ldo + c;
        int64_t j = 0;
        for (; j + VW <= width; j += VW) storeu(to + j, loadu(sums + i * tile_columns + j) * inverses[i]);
        if (j < width) store_part(to + j, loadu(sums + i * tile_columns + j) * inverses[i], width - j);
      }
    }
  }
}

template <class F>
void each_tile(const int32_t* offsets, int64_t sequences, int64_t heads, F f) {
  const int64_t tiles = most_tiles(offsets, sequences);
  parallel(sequences * heads * tiles, [&](int64_t index, int thread) {
    const int64_t s = index / (heads * tiles);
    const int64_t start = offsets[s];
    const int64_t length = offsets[s + 1] - start;
    const int64_t first = index % tiles * tile;
    const int64_t rows = length - first < tile ? length - first : tile;
    if (rows > 0) f(index / tiles % heads, start, length, first, rows, thread);
  });
}

}  // namespace

void attention_f32(const float* q, const float* k, const float* v, float* out, float* log_sums, const int32_t* offsets,
                   int64_t sequences, int64_t tokens, int64_t heads, int64_t size, int64_t ldq, int64_t ldk, int64_t ldv,
                   int64_t ldo, float scale, int32_t causal, int64_t window, float rate, int64_t seed, const int32_t* hidden) {
  const uint32_t threshold = rate > 0.0f ? drop_threshold(rate) : 0;
  const float keep = rate > 0.0f ? 1.0f / (1.0f - rate) : 1.0f;
  each_tile(offsets, sequences, heads, [&](int64_t head, int64_t start, int64_t length, int64_t first, int64_t rows, int thread) {
    const int64_t column = head * size, place = head * tokens + start + first;
    attend_tile({q + (start + first) * ldq + column, k + start * ldk + column, v + start * ldv + column,
                 out + (start + first) * ldo + column, log_sums + place, first, rows, length, size, ldq, ldk, ldv, ldo, scale,
                 keep, causal, window, threshold, static_cast<uint32_t>(seed), static_cast<uint32_t>(place), nullptr, nullptr,
                 nullptr, heads, hidden ? hidden + start : nullptr},
                thread);
  });
}

void attention_relative_f32(const float* q, const float* k, const float* v, float* out, float* log_sums,
                            const int32_t* offsets, int64_t sequences, int64_t tokens, int64_t heads, int64_t size, int64_t ldq,
                            int64_t ldk, int64_t ldv, int64_t ldo, float scale, const float* bias, const float* keys,
                            const float* queries, int64_t span) {
  const int64_t middle = span - 1;
  each_tile(offsets, sequences, heads, [&](int64_t head, int64_t start, int64_t length, int64_t first, int64_t rows, int thread) {
    const int64_t column = head * size;
    const auto table = [&](const float* of) { return of ? of + middle * heads * size + column : nullptr; };
    attend_tile({q + (start + first) * ldq + column, k + start * ldk + column, v + start * ldv + column,
                 out + (start + first) * ldo + column, log_sums + head * tokens + start + first, first, rows, length, size, ldq,
                 ldk, ldv, ldo, scale, 1.0f, 0, 0, 0, 0, 0, bias ? bias + middle * heads + head : nullptr, table(keys),
                 table(queries), heads, nullptr},
                thread);
  });
}

void attention_backward_f32(const float* q, const float* k, const float* v, const float* out, const float* log_sums,
                            const float* dout, float* dq, float* dk, float* dv, const int32_t* offsets, int64_t sequences,
                            int64_t tokens, int64_t heads, int64_t size, int64_t ldq, int64_t ldk, int64_t ldv, int64_t ldo,
                            int64_t ldd, float scale, int32_t causal, int64_t window, float rate, int64_t seed,
                            const int32_t* hidden) {
  const uint32_t threshold = drop_threshold(rate);
  const float keep = rate > 0.0f ? 1.0f / (1.0f - rate) : 1.0f;
  parallel(sequences * heads, [&](int64_t index, int thread) {
    const int64_t head = index % heads;
    const int64_t start = offsets[index / heads];
    const int64_t length = offsets[index / heads + 1] - start;
    const int64_t column = head * size;
    for (int64_t first = 0; first < length; first += tile) {
      const int64_t rows = length - first < tile ? length - first : tile;
      const size_t bytes = static_cast<size_t>(rows * length) * sizeof(float);
      float* p = thread_scratch(thread, bytes, 0);
      float* dp = thread_scratch(thread, bytes, 1);
      const float* tile_q = q + (start + first) * ldq + column;
      const float* tile_d = dout + (start + first) * ldd + column;
      matmul_f32(tile_q, k + start * ldk + column, p, 1, rows, length, size, 0, 0, 0, ldq, 1, 1, ldk, length, 1.0f, 0.0f);
      matmul_f32(tile_d, v + start * ldv + column, dp, 1, rows, length, size, 0, 0, 0, ldd, 1, 1, ldv, length, 1.0f, 0.0f);
      for (int64_t r = 0; r < rows; ++r) {
        float* row = p + r * length;
        float* gradient = dp + r * length;
        const int64_t at = head * tokens + start + first + r;
        const Range range = visible(first + r, length, causal, window);
        if (hidden) hide(row, hidden + start, range, first + r);
        exponentials(row, range, length, scale, log_sums[at]);
        const int64_t place = start + first + r;
        const float delta = dot(dout + place * ldd + column, out + place * ldo + column, size);
        if (rate > 0.0f) {
          // dp becomes dS; p becomes the dropped probabilities, for dV.
          const uint32_t key = row_key(static_cast<uint32_t>(seed), static_cast<uint32_t>(at));
          int64_t i = 0;
          for (; i + VW <= length; i += VW) {
            const vi gone = dropped_lanes(key, static_cast<uint32_t>(i), threshold);
            const vf mask = select(gone, vzero(), broadcast(keep));
            const vf probability = loadu(row + i);
            storeu(gradient + i, probability * (loadu(gradient + i) * mask - delta) * scale);
            storeu(row + i, probability * mask);
          }
          for (; i < length; ++i) {
            const float mask = random_bits(key, static_cast<uint32_t>(i)) < threshold ? 0.0f : keep;
            gradient[i] = row[i] * (gradient[i] * mask - delta) * scale;
            row[i] *= mask;
          }
        } else {
          for (int64_t i = 0; i < length; ++i) gradient[i] = row[i] * (gradient[i] - delta) * scale;
        }
      }
      const float beta = first == 0 ? 0.0f : 1.0f;
      matmul_f32(dp, k + start * ldk + column, dq + (start + first) * ldq + column, 1, rows, size, length, 0, 0, 0, length, 1,
                 ldk, 1, ldq, 1.0f, 0.0f);
      matmul_f32(dp, tile_q, dk + start * ldk + column, 1, length, size, rows, 0, 0, 0, 1, length, ldq, 1, ldk, 1.0f, beta);
      matmul_f32(p, tile_d, dv + start * ldv + column, 1, length, size, rows, 0, 0, 0, 1, length, ldd, 1, ldv, 1.0f, beta);
    }
  });
}

}  // namespace cloze::CLOZE_ISA
