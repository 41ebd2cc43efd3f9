// A small pool: the calling thread works too. Blocks are fixed by the caller, so that results never depend on
// how many threads there are. Nested or concurrent calls run serially on the caller instead of waiting.
#pragma once
#include <cstddef>
#include <cstdint>

namespace cloze {

using Body = void (*)(void* context, int64_t index, int thread);

// Runs body(context, index, thread) for every index in [0, count); returns when all are done.
void parallel_for(int64_t count, Body body, void* context);

// The same for a callable: parallel(count, [&](int64_t index, int thread) { ... }).
template <class F>
inline void parallel(int64_t count, F&& f) {
  auto call = [](void* context, int64_t index, int thread) { (*static_cast<F*>(context))(index, thread); };
  parallel_for(count, call, &f);
}

// Threads that a parallel call from here would use: 1 inside a body.
int thread_count();
void set_thread_count(int threads);

// Parallel calls from the calling thread use at most so many threads from now on; 0: all.
void limit_threads(int most);

// Scratch memory of the calling thread, 64-byte aligned, at least `bytes` long; the next call may overwrite it.
// `thread` is the number that the body was given; slots let one kernel hold two buffers at once.
float* thread_scratch(int thread, size_t bytes, int slot = 0);

}  // namespace cloze
