// The thread pool and the memory cache under several callers at once, for ThreadSanitizer:
//   ./thread-test.sh
#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include "../memory.h"
#include "../thread-pool.h"

int main() {
  std::atomic<int> wrong{0};
  const auto caller = [&](int number) {
    for (int round = 0; round < 400; ++round) {
      // Every third caller asks for fewer threads, as plans do; one changes how many there are.
      cloze::limit_threads(number % 3);
      if (number == 0 && round % 50 == 0) cloze::set_thread_count(1 + round / 50 % 4);
      const int64_t count = 1 + (round * 7 + number) % 97;
      auto* const values = static_cast<int64_t*>(cloze::memory_allocate(static_cast<size_t>(count) * sizeof(int64_t)));
      cloze::parallel(count, [&](int64_t index, int thread) {
        float* const scratch = cloze::thread_scratch(thread, 4096, 0);
        scratch[index % 1024] = static_cast<float>(index);
        values[index] = static_cast<int64_t>(scratch[index % 1024]) + number;
        // A body may call on, and shares the pool where the outer call did not.
        cloze::parallel(2, [&](int64_t inner, int) { __atomic_fetch_add(&values[index], inner, __ATOMIC_RELAXED); });
      });
      for (int64_t i = 0; i < count; ++i)
        if (values[i] != i + number + 1) wrong.fetch_add(1);
      cloze::memory_free(values);
      if (round % 100 == 99) cloze::memory_trim();
    }
  };
  std::vector<std::thread> callers;
  for (int number = 0; number < 6; ++number) callers.emplace_back(caller, number);
  for (auto& thread : callers) thread.join();
  std::printf(wrong == 0 ? "the thread pool held\n" : "%d wrong values\n", wrong.load());
  return wrong == 0 ? 0 : 1;
}
