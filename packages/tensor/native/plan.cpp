#include "plan.h"

#include <cstddef>
#include <type_traits>
#include <utility>

#define CLOZE_ISA baseline
#include "kernels/kernels.h"
#undef CLOZE_ISA

namespace cloze {
namespace {

using Invoke = void (*)(void* kernel, const double* values);

template <class T>
T argument(double value) {
  if constexpr (std::is_pointer_v<T>)
    return reinterpret_cast<T>(static_cast<uintptr_t>(value));
  else
    return static_cast<T>(value);
}

template <class F>
struct Call;
template <class R, class... A>
struct Call<R (*)(A...)> {
  template <std::size_t... I>
  static void run(void* kernel, [[maybe_unused]] const double* values, std::index_sequence<I...>) {
    reinterpret_cast<R (*)(A...)>(kernel)(argument<A>(values[I])...);
  }
  static void invoke(void* kernel, const double* values) { run(kernel, values, std::index_sequence_for<A...>{}); }
};

// Kernels have the same arguments in every build, so the baseline's declarations serve for all.
constexpr Invoke invokers[] = {
#define KERNEL(name) &Call<decltype(&baseline::name)>::invoke,
#include "kernels/kernels.def"
#undef KERNEL
};

constexpr int most_arguments = 32;

}  // namespace

void run_plan(void* const* table, const double* code, int64_t length, const double* variables) {
  double values[most_arguments];
  for (int64_t at = 0; at + 2 <= length;) {
    const auto kernel = static_cast<int64_t>(code[at]);
    const auto count = static_cast<int64_t>(code[at + 1]);
    at += 2;
    for (int64_t i = 0; i < count; ++i, at += plan_variables) {
      double sum = 0;
      for (int v = 0; v < plan_variables; ++v) sum += code[at + v] * variables[v];
      values[i] = sum;
    }
    invokers[kernel](table[kernel], values);
  }
}

}  // namespace cloze
