// Which builds of the kernels this processor can run.
#pragma once

namespace cloze {

// The best one: "amx", "avx512", "avx2" or "baseline". Each can run those after it. Asks the system for tile registers where
// there are some, on behalf of all threads.
const char* best_isa();

}  // namespace cloze
