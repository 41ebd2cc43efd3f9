// Compiled once per instruction set: the addresses of that build's kernels, in the order of kernels.def.
#include "kernels/kernels.h"

#define CLOZE_JOIN2(a, b) a##b
#define CLOZE_JOIN(a, b) CLOZE_JOIN2(a, b)

extern "C" void* const* CLOZE_JOIN(cloze_table_, CLOZE_ISA)() {
  static void* const table[] = {
#define KERNEL(name) reinterpret_cast<void*>(&cloze::CLOZE_ISA::name),
#include "kernels/kernels.def"
#undef KERNEL
      nullptr};
  return table;
}
