// Elementary functions on vectors, within about two units in the last place over the whole range; NaN stays NaN.
// Polynomials were fitted for this file (weighted minimax on the interval named beside each).
#pragma once
#include "simd.h"

namespace cloze::CLOZE_ISA {

// Nearest integer for |x| < 2^22; `bits` gets the same as an integer.
CLOZE_INLINE vf round_small(vf x, vi& bits) {
  const vf magic = broadcast(12582912.0f);  // 1.5 * 2^23
  const vf shifted = x + magic;
  bits = as_int(shifted) - as_int(magic);
  return shifted - magic;
}

CLOZE_INLINE vf vexp(vf x) {
#if defined(__AVX512F__)
  // (The maskz form because GCC 12 warns wrongly about the plain one.)
  // scalef gives overflow, underflow and gradual underflow by itself; the clamp keeps the reduction finite.
  x = x > 100.0f ? broadcast(100.0f) : x;
  x = x < -120.0f ? broadcast(-120.0f) : x;
#else
  x = x > 89.0f ? broadcast(89.0f) : x;
  x = x < -104.0f ? broadcast(-104.0f) : x;
#endif
  vi n;
  const vf whole = round_small(x * 1.44269504f, n);
  vf r = fma(whole, broadcast(-0.693359375f), x);
  r = fma(whole, broadcast(2.12194440e-4f), r);
  // exp(r) = 1 + r + r^2 P(r), |r| <= 0.3475
  vf p = fma(broadcast(1.979096414e-04f), r, broadcast(1.394496765e-03f));
  p = fma(p, r, broadcast(8.333497681e-03f));
  p = fma(p, r, broadcast(4.166629165e-02f));
  p = fma(p, r, broadcast(1.666666567e-01f));
  p = fma(p, r, broadcast(0.5f));
  p = fma(p, r * r, r) + 1.0f;
#if defined(__AVX512F__)
  return reinterpret_cast<vf>(_mm512_maskz_scalef_ps(0xffff, reinterpret_cast<__m512>(p), reinterpret_cast<__m512>(whole)));
#else
  const vi half = n >> 1;
  return p * as_float((half + 127) << 23) * as_float((n - half + 127) << 23);
#endif
}

// Natural logarithm: -inf at 0, NaN below, gradual underflow honoured.
CLOZE_INLINE vf vlog(vf x) {
  const vi tiny = x < 1.17549435e-38f;
  const vf y = select(tiny, x * 8388608.0f, x);
  vi bits = as_int(y);
  // Split y = m * 2^e with m in [sqrt(1/2), sqrt(2)).
  const vi e = (bits - 0x3f3504f3) >> 23;
  const vf f = as_float(bits - (e << 23)) - 1.0f;
  const vf exponent = to_float(e) - select(tiny, broadcast(23.0f), vzero());
  // log(1 + f) = f - f^2/2 + f^3 P(f), f in [-0.2929, 0.4143]
  vf p = fma(broadcast(6.744550169e-02f), f, broadcast(-1.167480871e-01f));
  p = fma(p, f, broadcast(1.188860089e-01f));
  p = fma(p, f, broadcast(-1.240575537e-01f));
  p = fma(p, f, broadcast(1.421951950e-01f));
  p = fma(p, f, broadcast(-1.666798592e-01f));
  p = fma(p, f, broadcast(2.000211924e-01f));
  p = fma(p, f, broadcast(-2.500000894e-01f));
  p = fma(p, f, broadcast(3.333331347e-01f));
  const vf f2 = f * f;
  vf r = fma(exponent, broadcast(-2.12194440e-4f), p * (f2 * f));
  r = fma(f2, broadcast(-0.5f), r) + f;
  r = fma(exponent, broadcast(0.693359375f), r);
  r = x == __builtin_inff() ? x : r;
  r = x == 0.0f ? broadcast(-__builtin_inff()) : r;
  r = x < 0.0f ? broadcast(__builtin_nanf("")) : r;
  return x != x ? x : r;
}

CLOZE_INLINE vf verf(vf x) {
  const vf t = vabs(x);
  const vf s = x * x;
  // erf(x) = x + x P(x^2), |x| <= 0.93
  vf small = fma(broadcast(-5.951281637e-04f), s, broadcast(4.985455889e-03f));
  small = fma(small, s, broadcast(-2.676138841e-02f));
  small = fma(small, s, broadcast(1.128167361e-01f));
  small = fma(small, s, broadcast(-3.761247993e-01f));
  small = fma(small, s, broadcast(1.283791512e-01f));
  small = fma(small, x, x);
  // log(1 - erf(t)) = P(t), 0.925 <= t <= 4; above it erf is 1 in float32
  const vf u = t > 4.0f ? broadcast(4.0f) : t;
  vf p = fma(broadcast(1.953599131e-04f), u, broadcast(-3.037548857e-03f));
  p = fma(p, u, broadcast(2.220430225e-02f));
  p = fma(p, u, broadcast(-1.038846225e-01f));
  p = fma(p, u, broadcast(-6.372358203e-01f));
  p = fma(p, u, broadcast(-1.127643704e+00f));
  p = fma(p, u, broadcast(-2.033981582e-04f));
  const vf large = copy_sign(1.0f - vexp(p), x);
  return t > 0.928f ? large : small;  // NaN takes the small branch
}

CLOZE_INLINE vf vtanh(vf x) {
  const vf t = vabs(x);
  const vf s = x * x;
  // tanh(x) = x + x^3 P(x^2), |x| <= 0.625
  vf small = fma(broadcast(-5.704978481e-03f), s, broadcast(2.063907869e-02f));
  small = fma(small, s, broadcast(-5.373971164e-02f));
  small = fma(small, s, broadcast(1.333144158e-01f));
  small = fma(small, s, broadcast(-3.333328068e-01f));
  small = fma(small, s * x, x);
  const vf large = copy_sign(1.0f - 2.0f / (vexp(t + t) + 1.0f), x);
  return t > 0.625f ? large : small;
}

// Below -88.7 it is 0 (never subnormal).
CLOZE_INLINE vf vsigmoid(vf x) { return 1.0f / (vexp(-x) + 1.0f); }

// The normal distribution function Phi(x) = (1 + erf(x / sqrt 2)) / 2 without cancellation: absolute error < 5e-8,
// and a fair relative one in the lower tail. About half the cost of verf.
CLOZE_INLINE vf vnormal_cdf(vf x) {
  const vf t = vabs(x) * 0.707106781f;
  const vf u = t > 5.0f ? broadcast(5.0f) : t;
  // log erfc(t) = t P(t), 0 <= t <= 5
  vf p = fma(broadcast(-5.165620109e-07f), u, broadcast(1.164554851e-05f));
  p = fma(p, u, broadcast(-1.106905402e-04f));
  p = fma(p, u, broadcast(5.647561047e-04f));
  p = fma(p, u, broadcast(-1.485078014e-03f));
  p = fma(p, u, broadcast(-7.766840281e-05f));
  p = fma(p, u, broadcast(1.931864768e-02f));
  p = fma(p, u, broadcast(-1.028373092e-01f));
  p = fma(p, u, broadcast(-6.366096735e-01f));
  p = fma(p, u, broadcast(-1.128379703e+00f));
  vf tail = vexp(p * u) * 0.5f;
  tail = t > 5.0f ? vzero() : tail;
  return x < 0.0f ? tail : 1.0f - tail;
}
CLOZE_INLINE vf vnormal_pdf(vf x) { return vexp(x * x * -0.5f) * 0.398942280f; }

CLOZE_INLINE vf vgelu(vf x) { return x * vnormal_cdf(x); }
CLOZE_INLINE vf vgelu_derivative(vf x) { return fma(x, vnormal_pdf(x), vnormal_cdf(x)); }

// The tanh form: x/2 (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
CLOZE_INLINE vf vgelu_tanh(vf x) {
  const vf u2 = x * fma(x * x, broadcast(2.0f * 0.79788456f * 0.044715f), broadcast(2.0f * 0.79788456f));
  return x * vsigmoid(u2);
}
CLOZE_INLINE vf vgelu_tanh_derivative(vf x) {
  const vf s = x * x;
  const vf u2 = x * fma(s, broadcast(2.0f * 0.79788456f * 0.044715f), broadcast(2.0f * 0.79788456f));
  const vf sigma = vsigmoid(u2);
  const vf du2 = fma(s, broadcast(6.0f * 0.79788456f * 0.044715f), broadcast(2.0f * 0.79788456f));
  return fma(x * sigma * (1.0f - sigma), du2, sigma);
}

CLOZE_INLINE vf vsilu(vf x) { return x * vsigmoid(x); }
CLOZE_INLINE vf vsilu_derivative(vf x) {
  const vf sigma = vsigmoid(x);
  return sigma * fma(x, 1.0f - sigma, broadcast(1.0f));
}

// CLIP's x sigmoid(1.702 x), near GELU.
CLOZE_INLINE vf vquick_gelu(vf x) { return x * vsigmoid(x * 1.702f); }
CLOZE_INLINE vf vquick_gelu_derivative(vf x) {
  const vf sigma = vsigmoid(x * 1.702f);
  return sigma * fma(x * 1.702f, 1.0f - sigma, broadcast(1.0f));
}

CLOZE_INLINE vf vrelu(vf x) { return x < 0.0f ? vzero() : x; }  // NaN stays

// log(1 + exp(x)), without overflow: max(x, 0) + log1p(exp(-|x|)).
CLOZE_INLINE vf vsoftplus(vf x) {
  const vf e = vexp(-vabs(x));
  // log1p(e) for e in (0, 1]: log(1 + e) corrected for what 1 + e rounded away.
  const vf u = e + 1.0f;
  const vf l = vlog(u) + (e - (u - 1.0f)) / u;
  return (x < 0.0f ? vzero() : x) + l;
}

}  // namespace cloze::CLOZE_ISA
