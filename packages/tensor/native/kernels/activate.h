// Activations and their derivatives, by the numbers that activation.h lists.
#pragma once
#include "../vector-math.h"

namespace cloze::CLOZE_ISA {

enum class Activation : int32_t { none, gelu, gelu_tanh, relu, silu, tanh, quick_gelu };

template <Activation kind>
CLOZE_INLINE vf activate(vf x) {
  if constexpr (kind == Activation::gelu) return vgelu(x);
  if constexpr (kind == Activation::gelu_tanh) return vgelu_tanh(x);
  if constexpr (kind == Activation::relu) return vrelu(x);
  if constexpr (kind == Activation::silu) return vsilu(x);
  if constexpr (kind == Activation::tanh) return vtanh(x);
  if constexpr (kind == Activation::quick_gelu) return vquick_gelu(x);
  return x;
}

template <Activation kind>
CLOZE_INLINE vf derivative(vf x) {
  if constexpr (kind == Activation::gelu) return vgelu_derivative(x);
  if constexpr (kind == Activation::gelu_tanh) return vgelu_tanh_derivative(x);
  if constexpr (kind == Activation::relu) return select(x > 0.0f, broadcast(1.0f), vzero());
  if constexpr (kind == Activation::silu) return vsilu_derivative(x);
  if constexpr (kind == Activation::quick_gelu) return vquick_gelu_derivative(x);
  if constexpr (kind == Activation::tanh) {
    const vf t = vtanh(x);
    return 1.0f - t * t;
  }
  return broadcast(1.0f);
}

// f.template operator()<kind>() for an activation that is known at run time only.
template <class F>
CLOZE_INLINE void with_activation(Activation kind, F&& f) {
  switch (kind) {
    case Activation::gelu: return f.template operator()<Activation::gelu>();
    case Activation::gelu_tanh: return f.template operator()<Activation::gelu_tanh>();
    case Activation::relu: return f.template operator()<Activation::relu>();
    case Activation::silu: return f.template operator()<Activation::silu>();
    case Activation::tanh: return f.template operator()<Activation::tanh>();
    case Activation::quick_gelu: return f.template operator()<Activation::quick_gelu>();
    default: return f.template operator()<Activation::none>();
  }
}

}  // namespace cloze::CLOZE_ISA
