// Sums over neighbouring tokens: depthwise, per-head and span-dynamic convolutions over packed sequences.
#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// y[t, c] = the sum over taps j of w(t, c, j) x[t + j - before, j tap_x + c], for c below `width`, over the taps whose token is
// in the sequence of t (offsets [sequences + 1]). Rows of x and y are row_x and row_y apart; tap_x is 0 where taps share
// columns. weights may be null (1); else w = weights[t row_w + head head_w + j tap_w], where a head is width / heads columns.
void convolve_tokens_f32(const float* x, const float* weights, float* y, const int32_t* offsets, int64_t sequences,
                         int64_t tokens, int64_t width, int64_t taps, int64_t before, int64_t row_x, int64_t tap_x,
                         int64_t row_y, int64_t heads, int64_t row_w, int64_t head_w, int64_t tap_w);

}  // namespace cloze::CLOZE_ISA
