// The only file that knows how WebAssembly talks to JavaScript. Every kernel of kernels.def becomes a function of doubles in
// the function table: JavaScript has no 64-bit integers that are numbers, and addresses have 32 bits here.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "../kernels/kernels.h"
#include "../memory.h"
#include "../plan.h"
#include "../thread-pool.h"
#include "binding.h"

#define CLOZE_JOIN2(a, b) a##b
#define CLOZE_JOIN(a, b) CLOZE_JOIN2(a, b)
#define EXPORT(name) extern "C" __attribute__((export_name(name), used))

extern "C" void* const* CLOZE_JOIN(cloze_table_, CLOZE_ISA)();

namespace cloze {
int32_t out_of_memory = 0;
namespace {

template <class T>
T argument(double value) {
  if constexpr (std::is_pointer_v<T>)
    return reinterpret_cast<T>(static_cast<uintptr_t>(value));
  else
    return static_cast<T>(value);
}

template <class T>
using Number = double;

template <auto kernel>
struct Wrap;
template <class R, class... A, R (*kernel)(A...)>
struct Wrap<kernel> {
  static double call(Number<A>... values) {
    if constexpr (std::is_void_v<R>) {
      kernel(argument<A>(values)...);
      return 0;
    } else {
      return static_cast<double>(kernel(argument<A>(values)...));
    }
  }
};

const void* const wrapped[] = {
#define KERNEL(name) reinterpret_cast<const void*>(&Wrap<&CLOZE_ISA::name>::call),
#include "../kernels/kernels.def"
#undef KERNEL
};

// One after another, each with its 0.
const char names[] =
#define KERNEL(name) #name "\0"
#include "../kernels/kernels.def"
#undef KERNEL
    ;

}  // namespace

// The places of the wrapped kernels in the function table, their names, and how many there are.
EXPORT("wrappedKernels") const void* const* wrapped_kernels() { return wrapped; }
EXPORT("kernelNames") const char* kernel_names() { return names; }
EXPORT("kernelCount") int32_t kernel_count() { return sizeof wrapped / sizeof *wrapped; }

EXPORT("runPlan") void run_plan_now(double code, double length, double variables, int32_t threads) {
  limit_threads(threads);
  run_plan(CLOZE_JOIN(cloze_table_, CLOZE_ISA)(), argument<const double*>(code), argument<int64_t>(length),
           argument<const double*>(variables));
  limit_threads(0);
}

EXPORT("allocate") double allocate(double bytes) {
  return static_cast<double>(reinterpret_cast<uintptr_t>(memory_allocate(argument<size_t>(bytes))));
}
EXPORT("free") void release(double block) { memory_free(argument<void*>(block)); }
EXPORT("cachedBytes") double cached() { return static_cast<double>(memory_cached()); }

EXPORT("setThreads") void set_threads(int32_t count) { set_thread_count(count); }
EXPORT("workers") int32_t workers() { return workers_there(); }

// After a trap: 1 where it was for want of memory.
EXPORT("recover") int32_t after_trap() {
  limit_threads(0);
  recover();
  const int32_t memory = out_of_memory;
  out_of_memory = 0;
  return memory;
}

EXPORT("workerLoop") void loop() { worker_loop(); }
EXPORT("workerFailed") void failed() { worker_failed(); }

}  // namespace cloze
