#include "fourier.h"

#include "../simd.h"
#include "../thread-pool.h"

namespace cloze::CLOZE_ISA {
namespace {

struct Complex {
  vf re, im;
};
CLOZE_INLINE Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
CLOZE_INLINE Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
CLOZE_INLINE Complex times(Complex a, float re, float im) { return {a.re * re - a.im * im, a.re * im + a.im * re}; }
CLOZE_INLINE Complex minus_i(Complex a) { return {a.im, vzero() - a.re}; }  // a times -i
CLOZE_INLINE Complex scaled(Complex a, float s) { return {a.re * s, a.im * s}; }

struct Plan {
  int64_t n;
  const int32_t* factors;
  int32_t factor_count;
  const float* roots;
  int64_t size;
  const float* chirp;
};

template <int P>
CLOZE_INLINE void butterfly(Complex* a) {
  if constexpr (P == 2) {
    const Complex b = a[0] - a[1];
    a[0] = a[0] + a[1];
    a[1] = b;
  } else if constexpr (P == 3) {
    const Complex sum = a[1] + a[2];
    const Complex turn = scaled(minus_i(a[1] - a[2]), 0.86602540378443864676f);
    const Complex middle = a[0] - scaled(sum, 0.5f);
    a[0] = a[0] + sum;
    a[1] = middle + turn;
    a[2] = middle - turn;
  } else if constexpr (P == 4) {
    const Complex b0 = a[0] + a[2], b1 = a[0] - a[2], b2 = a[1] + a[3], b3 = minus_i(a[1] - a[3]);
    a[0] = b0 + b2;
    a[1] = b1 + b3;
    a[2] = b0 - b2;
    a[3] = b1 - b3;
  } else {
    static_assert(P == 5);
    constexpr float c1 = 0.30901699437494742410f, c2 = -0.80901699437494742410f;
    constexpr float s1 = 0.95105651629515357212f, s2 = 0.58778525229247312917f;
    const Complex p1 = a[1] + a[4], p2 = a[2] + a[3], m1 = a[1] - a[4], m2 = a[2] - a[3];
    const Complex r1 = a[0] + scaled(p1, c1) + scaled(p2, c2), r2 = a[0] + scaled(p1, c2) + scaled(p2, c1);
    const Complex t1 = minus_i(scaled(m1, s1) + scaled(m2, s2)), t2 = minus_i(scaled(m1, s2) - scaled(m2, s1));
    a[0] = a[0] + p1 + p2;
    a[1] = r1 + t1;
    a[4] = r1 - t1;
    a[2] = r2 + t2;
    a[3] = r2 - t2;
  }
}

// One pass of Stockham's algorithm: transforms of length `length` at a distance of `step` become `radix` times shorter ones.
template <int P>
void pass(const Complex* x, Complex* y, int64_t length, int64_t step, const float* roots) {
  const int64_t m = length / P;
  for (int64_t k = 0; k < m; ++k) {
    for (int64_t q = 0; q < step; ++q) {
      Complex a[P];
      for (int r = 0; r < P; ++r) a[r] = x[q + step * (k + m * r)];
      butterfly<P>(a);
      Complex* to = y + q + step * P * k;
      to[0] = a[0];
      for (int j = 1; j < P; ++j) {
        const float* root = roots + 2 * (k * j * step);
        to[step * j] = times(a[j], root[0], root[1]);
      }
    }
  }
}

void any_pass(const Complex* x, Complex* y, int64_t radix, int64_t length, int64_t step, const float* roots, int64_t size) {
  const int64_t m = length / radix;
  const int64_t turn = size / radix;
  for (int64_t k = 0; k < m; ++k) {
    for (int64_t q = 0; q < step; ++q) {
      for (int64_t j = 0; j < radix; ++j) {
        Complex sum = x[q + step * k];
        int64_t at = 0;
        for (int64_t r = 1; r < radix; ++r) {
          at += j;
          if (at >= radix) at -= radix;
          const float* root = roots + 2 * at * turn;
          sum = sum + times(x[q + step * (k + m * r)], root[0], root[1]);
        }
        const float* root = roots + 2 * (k * j * step);
        y[q + step * (radix * k + j)] = times(sum, root[0], root[1]);
      }
    }
  }
}

// Transforms x (`size` numbers) with room of the same size beside it; returns where the result lies.
Complex* transform(Complex* x, Complex* room, const Plan& plan) {
  int64_t length = plan.size;
  int64_t step = 1;
  for (int32_t i = 0; i < plan.factor_count; ++i) {
    const int64_t radix = plan.factors[i];
    if (radix == 4) pass<4>(x, room, length, step, plan.roots);
    else if (radix == 2) pass<2>(x, room, length, step, plan.roots);
    else if (radix == 3) pass<3>(x, room, length, step, plan.roots);
    else if (radix == 5) pass<5>(x, room, length, step, plan.roots);
    else any_pass(x, room, radix, length, step, plan.roots, plan.size);
    length /= radix;
    step *= radix;
    Complex* other = x;
    x = room;
    room = other;
  }
  return x;
}

CLOZE_INLINE void swap_parts(Complex* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] = {x[i].im, x[i].re};
}

// The same for any length n: x holds n numbers and has room for `size`.
Complex* transform_any(Complex* x, Complex* room, const Plan& plan) {
  if (!plan.chirp) return transform(x, room, plan);
  const float* filter = plan.chirp + 2 * plan.n;
  for (int64_t j = 0; j < plan.n; ++j) x[j] = times(x[j], plan.chirp[2 * j], plan.chirp[2 * j + 1]);
  for (int64_t j = plan.n; j < plan.size; ++j) x[j] = {vzero(), vzero()};
  Complex* a = transform(x, room, plan);
  // With real and imaginary parts swapped before and after, the same transform runs backwards.
  for (int64_t k = 0; k < plan.size; ++k) a[k] = times(a[k], filter[2 * k], filter[2 * k + 1]);
  swap_parts(a, plan.size);
  Complex* b = transform(a, a == x ? room : x, plan);
  swap_parts(b, plan.n);
  for (int64_t k = 0; k < plan.n; ++k) b[k] = times(b[k], plan.chirp[2 * k], plan.chirp[2 * k + 1]);
  return b;
}

// Lanes from rows and back: number k of row r is lane r of x[k]. Lanes without a row are zero.
template <class Part>
void gather(const float* rows, int64_t count, int64_t length, Complex* x, Part part) {
  for (int64_t lane = 0; lane < VW; ++lane) {
    for (int64_t k = 0; k < length; ++k)
      reinterpret_cast<float*>(&part(x[k]))[lane] = lane < count ? rows[lane * length + k] : 0.0f;
  }
}
template <class Part>
void spread(const Complex* x, float* rows, int64_t count, int64_t length, Part part) {
  for (int64_t lane = 0; lane < VW && lane < count; ++lane) {
    for (int64_t k = 0; k < length; ++k) rows[lane * length + k] = reinterpret_cast<const float*>(&part(x[k]))[lane];
  }
}
const auto real_part = [](auto& x) -> auto& { return x.re; };
const auto imaginary_part = [](auto& x) -> auto& { return x.im; };

// body(first row, number of rows, x, room) for blocks of rows.
template <class F>
int32_t in_blocks(int64_t rows, int64_t block, const Plan& plan, F body) {
  const int64_t size = plan.size > plan.n ? plan.size : plan.n;
  int32_t failed = 0;
  parallel((rows + block - 1) / block, [&](int64_t index, int thread) {
    Complex* x = reinterpret_cast<Complex*>(thread_scratch(thread, static_cast<size_t>(2 * size) * sizeof(Complex)));
    if (!x) {
      __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
      return;
    }
    const int64_t first = index * block;
    body(first, rows - first < block ? rows - first : block, x, x + size);
  });
  return failed;
}

}  // namespace

int32_t fft_f32(const float* re, const float* im, float* y_re, float* y_im, int64_t rows, int64_t n, int32_t inverse,
                const int32_t* factors, int32_t factor_count, const float* roots, int64_t size, const float* chirp) {
  const Plan plan{n, factors, factor_count, roots, size, chirp};
  return in_blocks(rows, VW, plan, [&](int64_t first, int64_t count, Complex* x, Complex* room) {
    gather((inverse ? im : re) + first * n, count, n, x, real_part);
    gather((inverse ? re : im) + first * n, count, n, x, imaginary_part);
    Complex* y = transform_any(x, room, plan);
    if (inverse)
      for (int64_t k = 0; k < n; ++k) y[k] = scaled(y[k], 1.0f / static_cast<float>(n));
    spread(y, (inverse ? y_im : y_re) + first * n, count, n, real_part);
    spread(y, (inverse ? y_re : y_im) + first * n, count, n, imaginary_part);
  });
}

// Two real rows are one complex one, a + i b; the symmetry of their spectra takes them apart.
int32_t rfft_f32(const float* x, float* y_re, float* y_im, int64_t rows, int64_t n, const int32_t* factors,
                 int32_t factor_count, const float* roots, int64_t size, const float* chirp) {
  const Plan plan{n, factors, factor_count, roots, size, chirp};
  const int64_t half = n / 2 + 1;
  return in_blocks(rows, 2 * VW, plan, [&](int64_t first, int64_t count, Complex* z, Complex* room) {
    gather(x + first * n, count, n, z, real_part);
    gather(x + (first + VW) * n, count - VW, n, z, imaginary_part);
    const Complex* sum = transform_any(z, room, plan);
    Complex* part = sum == z ? room : z;
    for (int64_t k = 0; k < half; ++k) {
      const Complex p = sum[k], q = sum[k == 0 ? 0 : n - k];
      part[k] = {(p.re + q.re) * 0.5f, (p.im - q.im) * 0.5f};
    }
    spread(part, y_re + first * half, count, half, real_part);
    spread(part, y_im + first * half, count, half, imaginary_part);
    if (count <= VW) return;
    for (int64_t k = 0; k < half; ++k) {
      const Complex p = sum[k], q = sum[k == 0 ? 0 : n - k];
      part[k] = {(p.im + q.im) * 0.5f, (q.re - p.re) * 0.5f};
    }
    spread(part, y_re + (first + VW) * half, count - VW, half, real_part);
    spread(part, y_im + (first + VW) * half, count - VW, half, imaginary_part);
  });
}

int32_t irfft_f32(const float* re, const float* im, float* y, int64_t rows, int64_t n, const int32_t* factors,
                  int32_t factor_count, const float* roots, int64_t size, const float* chirp) {
  const Plan plan{n, factors, factor_count, roots, size, chirp};
  const int64_t half = n / 2 + 1;
  const int64_t middle = n % 2 == 0 ? half - 1 : half;
  return in_blocks(rows, 2 * VW, plan, [&](int64_t first, int64_t count, Complex* z, Complex* room) {
    // z + i room, its second half by symmetry; parts swapped, so that the transform runs backwards.
    gather(re + first * half, count, half, z, real_part);
    gather(im + first * half, count, half, z, imaginary_part);
    gather(re + (first + VW) * half, count - VW, half, room, real_part);
    gather(im + (first + VW) * half, count - VW, half, room, imaginary_part);
    for (int64_t k = 0; k < half; ++k) {
      const bool alone = k == 0 || k == middle;
      const Complex a = {z[k].re, alone ? vzero() : z[k].im};
      const Complex b = {room[k].re, alone ? vzero() : room[k].im};
      z[k] = {a.im + b.re, a.re - b.im};
      if (!alone) z[n - k] = {b.re - a.im, a.re + b.im};
    }
    Complex* sum = transform_any(z, room, plan);
    for (int64_t k = 0; k < n; ++k) sum[k] = scaled(sum[k], 1.0f / static_cast<float>(n));
    spread(sum, y + first * n, count, n, imaginary_part);
    spread(sum, y + (first + VW) * n, count - VW, n, real_part);
  });
}

int32_t fourier_mix_f32(const float* x, float* re, float* im, float* y, const int32_t* offsets, int64_t sequences,
                        int64_t tokens, int64_t width, const int32_t* lengths, const float* tables) {
  const auto plan_of = [&](int64_t row, int64_t n) {
    const int32_t* at = lengths + 5 * row;
    return Plan{n, lengths + at[4], at[3], tables + at[1], at[0], at[2] < 0 ? nullptr : tables + at[2]};
  };
  const int64_t half = width / 2 + 1;
  const Plan columns = plan_of(0, width);
  int32_t failed = rfft_f32(x, re, im, tokens, width, columns.factors, columns.factor_count, columns.roots, columns.size,
                            columns.chirp);
  // Lanes hold neighbouring columns, so that nothing is turned round.
  const int64_t blocks = (half + VW - 1) / VW;
  if (!failed) parallel(sequences * blocks, [&](int64_t index, int thread) {
    const int64_t start = offsets[index / blocks], length = offsets[index / blocks + 1] - start;
    if (length < 1) return;
    const int64_t first = index % blocks * VW;
    const int64_t count = half - first < VW ? half - first : VW;
    const Plan plan = plan_of(length, length);
    const int64_t size = plan.size > length ? plan.size : length;
    Complex* z = reinterpret_cast<Complex*>(thread_scratch(thread, static_cast<size_t>(2 * size) * sizeof(Complex)));
    if (!z) {
      __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
      return;
    }
    const float* from_re = re + start * half + first;
    const float* from_im = im + start * half + first;
    for (int64_t n = 0; n < length; ++n) {
      const int64_t at = n * half;
      z[n] = count == VW ? Complex{loadu(from_re + at), loadu(from_im + at)}
                         : Complex{load_part(from_re + at, count), load_part(from_im + at, count)};
    }
    const Complex* sum = transform_any(z, z + size, plan);
    // The columns that have a mirror image behind the first half: y[m, k] = y[length - m, width - k].
    const int64_t low = first > 0 ? 0 : 1;
    const int64_t high = width - half + 1 - first < count ? width - half + 1 - first : count;
    for (int64_t m = 0; m < length; ++m) {
      float* to = y + (start + m) * width + first;
      if (count == VW) storeu(to, sum[m].re);
      else store_part(to, sum[m].re, count);
      float* mirror = y + (start + (m == 0 ? 0 : length - m)) * width + width - first;
      const float* values = reinterpret_cast<const float*>(&sum[m].re);
      for (int64_t lane = low; lane < high; ++lane) mirror[-lane] = values[lane];
    }
  });
  if (failed)
    for (int64_t i = 0; i < tokens * width; ++i) y[i] = __builtin_nanf("");
  return failed;
}

}  // namespace cloze::CLOZE_ISA
