// The time steps of all sequences together: at each step one small product with the packed weight for those still alive.
// Directions, and groups of sequences, run side by side without waiting for each other; no row's numbers depend on the
// group that it falls into.
#include "recurrent.h"

#include "../thread-pool.h"
#include "../vector-math.h"
#include "gemm.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int64_t least_group = 4;  // sequences that are worth reading the weight for

// Up to VW neighbouring columns.
template <bool whole>
struct Columns {
  int64_t at, count;
  vf get(const float* p) const {
    if constexpr (whole) return loadu(p + at);
    else return load_part(p + at, count);
  }
  void put(float* p, vf x) const {
    if constexpr (whole) storeu(p + at, x);
    else store_part(p + at, x, count);
  }
};

template <class F>
CLOZE_INLINE void over_columns(int64_t units, F f) {
  int64_t at = 0;
  for (; at + VW <= units; at += VW) f(Columns<true>{at, VW});
  if (at < units) f(Columns<false>{at, units - at});
}

void clear(float* p, int64_t count) { std::memset(p, 0, static_cast<size_t>(count) * sizeof(float)); }

// Every `groups`-th sequence of one direction.
struct Group {
  int64_t direction, first, groups;
  const int32_t* rows;
  const int32_t* step_starts;

  int64_t alive(int64_t t) const { return (step_starts[t + 1] - step_starts[t] - first + groups - 1) / groups; }
  int64_t row(int64_t t, int64_t i) const { return rows[step_starts[t] + first + i * groups]; }
};

// Packs the weights [n, k] of all directions and runs body(group, packed weight of its direction, thread).
template <class F>
void over_groups(const float* weight, int64_t n, int64_t k, const int32_t* rows, const int32_t* step_starts, int64_t tokens,
                 int64_t directions, F body) {
  const int64_t sequences = step_starts[1] - step_starts[0];
  const int64_t bytes = packed_weight_bytes(n, k);
  // Bodies take slot 0, products the others.
  char* packed = reinterpret_cast<char*>(thread_scratch(0, static_cast<size_t>(directions * bytes), 1));
  for (int64_t d = 0; d < directions; ++d) pack_weight_f32(weight + d * n * k, reinterpret_cast<float*>(packed + d * bytes), n, k);
  const int64_t wanted = (thread_count() + directions - 1) / directions;
  const int64_t fitting = (sequences + least_group - 1) / least_group;
  const int64_t groups = wanted < fitting ? wanted : fitting;
  parallel(directions * groups, [&](int64_t index, int thread) {
    const int64_t d = index / groups;
    body(Group{d, index % groups, groups, rows + d * tokens, step_starts}, reinterpret_cast<const float*>(packed + d * bytes),
         thread);
  });
}

// h W + bias for the sequences alive, or the bias alone at the first step, where h is 0.
void recur(int64_t t, const float* hidden, const float* packed, const float* bias, float* sums, int64_t alive, int64_t width,
           int64_t units) {
  if (t > 0) return linear_packed_f32(hidden, packed, bias, sums, alive, width, units, units, width, 0, nullptr, nullptr);
  for (int64_t i = 0; i < alive; ++i) {
    if (bias) std::memcpy(sums + i * width, bias, static_cast<size_t>(width) * sizeof(float));
    else clear(sums + i * width, width);
  }
}

}  // namespace

void lstm_f32(const float* projected, const float* weight, const float* bias, float* y, float* cells, float* states,
              const int32_t* rows, const int32_t* step_starts, int64_t steps, int64_t tokens, int64_t units, int64_t directions) {
  if (steps <= 0) return;
  const int64_t u = units;
  const int64_t width = 4 * u;
  over_groups(weight, width, u, rows, step_starts, tokens, directions, [&](const Group& group, const float* packed, int thread) {
    const int64_t most = group.alive(0);
    float* hidden = thread_scratch(thread, static_cast<size_t>(most * (u + u + width)) * sizeof(float), 0);
    float* cell = hidden + most * u;
    float* sums = cell + most * u;
    clear(cell, most * u);
    const int64_t d = group.direction;
    for (int64_t t = 0; t < steps; ++t) {
      const int64_t alive = group.alive(t);
      if (alive <= 0) break;
      recur(t, hidden, packed, bias ? bias + d * width : nullptr, sums, alive, width, u);
      for (int64_t i = 0; i < alive; ++i) {
        const int64_t row = group.row(t, i);
        const float* in = projected + (row * directions + d) * width;
        const float* sum = sums + i * width;
        float* h = hidden + i * u;
        float* c = cell + i * u;
        float* out = y + (row * directions + d) * u;
        float* kept_cell = cells ? cells + (row * directions + d) * u : nullptr;
        float* kept = states ? states + (row * directions + d) * width : nullptr;
        over_columns(u, [&](auto at) {
          const vf input = vsigmoid(at.get(in) + at.get(sum));
          const vf forget = vsigmoid(at.get(in + u) + at.get(sum + u));
          const vf candidate = vtanh(at.get(in + 2 * u) + at.get(sum + 2 * u));
          const vf output = vsigmoid(at.get(in + 3 * u) + at.get(sum + 3 * u));
          const vf now = fma(forget, at.get(c), input * candidate);
          const vf result = output * vtanh(now);
          at.put(c, now);
          at.put(h, result);
          at.put(out, result);
          if (kept_cell) at.put(kept_cell, now);
          if (kept) {
            at.put(kept, input);
            at.put(kept + u, forget);
            at.put(kept + 2 * u, candidate);
            at.put(kept + 3 * u, output);
          }
        });
      }
    }
  });
}

void lstm_backward_f32(const float* weight_transposed, const float* y, const float* cells, const float* states, const float* gy,
                       float* gprojected, float* previous, const int32_t* rows, const int32_t* step_starts, int64_t steps,
                       int64_t tokens, int64_t units, int64_t directions) {
  if (steps <= 0) return;
  const int64_t u = units;
  const int64_t width = 4 * u;
  over_groups(weight_transposed, u, width, rows, step_starts, tokens, directions,
              [&](const Group& group, const float* packed, int thread) {
    const int64_t most = group.alive(0);
    float* ghidden = thread_scratch(thread, static_cast<size_t>(most * (u + u + u + width)) * sizeof(float), 0);
    float* gcell = ghidden + most * u;
    float* zero = gcell + most * u;  // one row: the state before the first step
    float* gsums = zero + most * u;
    clear(ghidden, 3 * most * u);
    const int64_t d = group.direction;
    for (int64_t t = steps - 1; t >= 0; --t) {
      const int64_t alive = group.alive(t);
      if (alive <= 0) continue;
      for (int64_t i = 0; i < alive; ++i) {
        const int64_t place = group.row(t, i) * directions + d;
        const int64_t before = t > 0 ? group.row(t - 1, i) * directions + d : 0;
        const float* h_before = t > 0 ? y + before * u : zero;
        const float* c_before = t > 0 ? cells + before * u : zero;
        const float* c = cells + place * u;
        const float* state = states + place * width;
        const float* gout = gy + place * u;
        float* gin = gprojected + place * width;
        float* kept = previous + place * u;
        float* gh = ghidden + i * u;
        float* gc = gcell + i * u;
        float* gsum = gsums + i * width;
        over_columns(u, [&](auto at) {
          const vf input = at.get(state);
          const vf forget = at.get(state + u);
          const vf candidate = at.get(state + 2 * u);
          const vf output = at.get(state + 3 * u);
          const vf squashed = vtanh(at.get(c));
          const vf g = at.get(gout) + at.get(gh);
          const vf through = fma(g * output, 1.0f - squashed * squashed, at.get(gc));
          const auto give = [&](int64_t gate, vf value) {
            at.put(gin + gate * u, value);
            at.put(gsum + gate * u, value);
          };
          give(0, through * candidate * input * (1.0f - input));
          give(1, through * at.get(c_before) * forget * (1.0f - forget));
          give(2, through * input * (1.0f - candidate * candidate));
          give(3, g * squashed * output * (1.0f - output));
          at.put(gc, through * forget);
          at.put(kept, at.get(h_before));
        });
      }
      if (t > 0) linear_packed_f32(gsums, packed, nullptr, ghidden, alive, u, width, width, u, 0, nullptr, nullptr);
    }
  });
}

void gru_f32(const float* projected, const float* weight, const float* bias, float* y, float* states, const int32_t* rows,
             const int32_t* step_starts, int64_t steps, int64_t tokens, int64_t units, int64_t directions) {
  if (steps <= 0) return;
  const int64_t u = units;
  const int64_t width = 3 * u;
  over_groups(weight, width, u, rows, step_starts, tokens, directions, [&](const Group& group, const float* packed, int thread) {
    const int64_t most = group.alive(0);
    float* hidden = thread_scratch(thread, static_cast<size_t>(most * (u + width)) * sizeof(float), 0);
    float* sums = hidden + most * u;
    clear(hidden, most * u);
    const int64_t d = group.direction;
    for (int64_t t = 0; t < steps; ++t) {
      const int64_t alive = group.alive(t);
      if (alive <= 0) break;
      recur(t, hidden, packed, bias ? bias + d * width : nullptr, sums, alive, width, u);
      for (int64_t i = 0; i < alive; ++i) {
        const int64_t place = group.row(t, i) * directions + d;
        const float* in = projected + place * width;
        const float* sum = sums + i * width;
        float* h = hidden + i * u;
        float* out = y + place * u;
        float* kept = states ? states + place * 4 * u : nullptr;
        over_columns(u, [&](auto at) {
          const vf reset = vsigmoid(at.get(in) + at.get(sum));
          const vf update = vsigmoid(at.get(in + u) + at.get(sum + u));
          const vf inner = at.get(sum + 2 * u);
          const vf candidate = vtanh(fma(reset, inner, at.get(in + 2 * u)));
          const vf result = fma(update, at.get(h) - candidate, candidate);
          at.put(h, result);
          at.put(out, result);
          if (kept) {
            at.put(kept, reset);
            at.put(kept + u, update);
            at.put(kept + 2 * u, candidate);
            at.put(kept + 3 * u, inner);
          }
        });
      }
    }
  });
}

void gru_backward_f32(const float* weight_transposed, const float* y, const float* states, const float* gy, float* gprojected,
                      float* grecurrent, float* previous, const int32_t* rows, const int32_t* step_starts, int64_t steps,
                      int64_t tokens, int64_t units, int64_t directions) {
  if (steps <= 0) return;
  const int64_t u = units;
  const int64_t width = 3 * u;
  over_groups(weight_transposed, u, width, rows, step_starts, tokens, directions,
              [&](const Group& group, const float* packed, int thread) {
    const int64_t most = group.alive(0);
    float* ghidden = thread_scratch(thread, static_cast<size_t>(most * (u + u + width)) * sizeof(float), 0);
    float* zero = ghidden + most * u;
    float* gsums = zero + most * u;
    clear(ghidden, 2 * most * u);
    const int64_t d = group.direction;
    for (int64_t t = steps - 1; t >= 0; --t) {
      const int64_t alive = group.alive(t);
      if (alive <= 0) continue;
      for (int64_t i = 0; i < alive; ++i) {
        const int64_t place = group.row(t, i) * directions + d;
        const float* h_before = t > 0 ? y + (group.row(t - 1, i) * directions + d) * u : zero;
        const float* state = states + place * 4 * u;
        const float* gout = gy + place * u;
        float* gin = gprojected + place * width;
        float* grec = grecurrent + place * width;
        float* kept = previous + place * u;
        float* gh = ghidden + i * u;
        float* gsum = gsums + i * width;
        over_columns(u, [&](auto at) {
          const vf reset = at.get(state);
          const vf update = at.get(state + u);
          const vf candidate = at.get(state + 2 * u);
          const vf before = at.get(h_before);
          const vf g = at.get(gout) + at.get(gh);
          const vf gcandidate = g * (1.0f - update) * (1.0f - candidate * candidate);
          const auto give = [&](int64_t gate, vf input, vf recurrent) {
            at.put(gin + gate * u, input);
            at.put(grec + gate * u, recurrent);
            at.put(gsum + gate * u, recurrent);
          };
          const vf greset = gcandidate * at.get(state + 3 * u) * reset * (1.0f - reset);
          const vf gupdate = g * (before - candidate) * update * (1.0f - update);
          give(0, greset, greset);
          give(1, gupdate, gupdate);
          give(2, gcandidate, gcandidate * reset);
          at.put(gh, g * update);
          at.put(kept, before);
        });
      }
      if (t > 0) linear_packed_f32(gsums, packed, nullptr, ghidden, alive, u, width, width, u, 0, nullptr, ghidden);
    }
  });
}

}  // namespace cloze::CLOZE_ISA
