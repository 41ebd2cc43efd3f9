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

}  // namespace cloze::CLOZE_ISA
