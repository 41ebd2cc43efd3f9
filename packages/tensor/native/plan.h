// A plan: kernel calls one after another, whose arguments are known up to a few sizes.
#pragma once
#include <cstdint>

namespace cloze {

// What arguments are made of: 1, tokens, tokens rounded up, sequences, sequences rounded up, addresses of the two arenas
// (of numbers, of integers).
constexpr int plan_variables = 7;

// `code` holds, for each call: the kernel's place in kernels.def, the number of arguments, and for each argument one
// coefficient for each variable. An argument is the sum of coefficients times variables. `table` is a build's kernels.
void run_plan(void* const* table, const double* code, int64_t length, const double* variables);

}  // namespace cloze
