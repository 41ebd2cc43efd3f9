#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// Discrete Fourier transforms of rows. Lanes hold different rows, so every length runs on whole vectors.
// A plan is three tables that the caller computes once for a length n:
//   factors  those of the size N that the passes run on, `factor_count` of them
//   roots    cos(2 pi k / N) and -sin(2 pi k / N) in turn, for k below N
//   chirp    null where N = n. Else n is done as a convolution of size N >= 2n - 1 (Bluestein): first the n numbers
//            cos(pi j^2 / n) and -sin(pi j^2 / n), then the N of the filter's spectrum, divided by N
// All return 0, or 1 where scratch memory ran out.

// y = the sum over j of x[j] exp(-2 pi i j k / n); `inverse`: with the other sign and divided by n. [rows, n] each.
int32_t fft_f32(const float* re, const float* im, float* y_re, float* y_im, int64_t rows, int64_t n, int32_t inverse,
                const int32_t* factors, int32_t factor_count, const float* roots, int64_t size, const float* chirp);
// Real input [rows, n]; the first n / 2 + 1 numbers of each row come out.
int32_t rfft_f32(const float* x, float* y_re, float* y_im, int64_t rows, int64_t n, const int32_t* factors,
                 int32_t factor_count, const float* roots, int64_t size, const float* chirp);
// The way back: [rows, n / 2 + 1] each to [rows, n]. The imaginary parts of the first number, and of the last where n is
// even, are not read.
int32_t irfft_f32(const float* re, const float* im, float* y, int64_t rows, int64_t n, const int32_t* factors,
                  int32_t factor_count, const float* roots, int64_t size, const float* chirp);

// y[m, k] = the real part of the sum over n and j of x[n, j] exp(-2 pi i (m n / length + k j / width)), over the rows of each
// sequence (offsets [sequences + 1]); x and y [tokens, width], re and im [tokens, width / 2 + 1] are room. Row n of `lengths`
// [.., 5] says where the plan for sequences of n tokens lies (row 0: for rows of `width`): the size, the places of its roots and
// its chirp (-1: none) in `tables`, the number of its factors and their place in `lengths`. Where scratch memory ran out, y is
// NaN, and 1 is returned.
int32_t fourier_mix_f32(const float* x, float* re, float* im, float* y, const int32_t* offsets, int64_t sequences,
                        int64_t tokens, int64_t width, const int32_t* lengths, const float* tables);

}  // namespace cloze::CLOZE_ISA
