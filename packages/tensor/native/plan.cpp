#include "plan.h"

#include <cstddef>
#include <type_traits>
#include <utility>

#define CLOZE_ISA baseline
#include "kernels/kernels.h"
#undef CLOZE_ISA
#include "thread-pool.h"

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
constexpr int row = 7, rows = 8;      // places among the variables
constexpr int64_t group_rows = 128;   // rows that a thread takes through a group
constexpr int64_t group_from = 2;     // blocks of rows for each thread from which groups are worth while

// Runs the call at `at`; returns where the next one begins.
int64_t run_call(void* const* table, const double* code, int64_t at, const double* variables) {
  double values[most_arguments];
  const auto kernel = static_cast<int64_t>(code[at]);
  const auto count = static_cast<int64_t>(code[at + 1]);
  at += 2;
  for (int64_t i = 0; i < count; ++i, at += plan_variables) {
    double sum = 0;
    for (int v = 0; v < plan_variables; ++v) sum += code[at + v] * variables[v];
    values[i] = sum;
  }
  invokers[kernel](table[kernel], values);
  return at;
}

int64_t after_call(const double* code, int64_t at) { return at + 2 + static_cast<int64_t>(code[at + 1]) * plan_variables; }

}  // namespace

void run_plan(void* const* table, const double* code, int64_t length, const double* given) {
  double variables[plan_variables] = {};
  for (int v = 0; v < row; ++v) variables[v] = given[v];
  const auto tokens = static_cast<int64_t>(given[1]);
  variables[rows] = given[1];
  const int64_t threads = thread_count();
  for (int64_t at = 0; at + 2 <= length;) {
    if (code[at] >= 0) {
      at = run_call(table, code, at, variables);
      continue;
    }
    const auto calls = static_cast<int64_t>(code[at + 1]);
    const int64_t begin = at + 2;
    int64_t end = begin;
    for (int64_t i = 0; i < calls; ++i) end = after_call(code, end);
    if (tokens >= group_from * group_rows * threads) {
      const int64_t wanted = (tokens + group_rows - 1) / group_rows;
      const int64_t blocks = (wanted + threads - 1) / threads * threads;
      parallel(blocks, [&](int64_t index, int) {
        double own[plan_variables];
        for (int v = 0; v < plan_variables; ++v) own[v] = variables[v];
        const int64_t from = tokens * index / blocks;
        own[row] = static_cast<double>(from);
        own[rows] = static_cast<double>(tokens * (index + 1) / blocks - from);
        for (int64_t call = begin; call < end;) call = run_call(table, code, call, own);
      });
    } else {
      for (int64_t call = begin; call < end;) call = run_call(table, code, call, variables);
    }
    at = end;
  }
}

}  // namespace cloze
