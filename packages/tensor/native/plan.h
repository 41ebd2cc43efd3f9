// A plan: kernel calls one after another, whose arguments are known up to a few sizes.
#pragma once
#include <cstdint>

namespace cloze {

// What arguments are made of: 1, tokens, tokens rounded up, sequences, sequences rounded up, addresses of the two arenas
// (of numbers, of integers), and the first of the rows to work on and how many they are: 0 and tokens, except in groups.
constexpr int plan_variables = 9;

// `code` holds, for each call: the kernel's place in kernels.def, the number of arguments, and for each argument one
// coefficient for each variable. An argument is the sum of coefficients times variables. `table` is a build's kernels.
// A group begins with -1 and the number of its calls: each works row by row, so with many tokens a thread takes a block of
// rows through all of them, and what lies between two calls stays in its cache.
// `variables` holds the first seven.
void run_plan(void* const* table, const double* code, int64_t length, const double* variables);

}  // namespace cloze
