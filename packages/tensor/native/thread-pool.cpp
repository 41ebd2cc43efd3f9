#include "thread-pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#define CLOZE_PAUSE() _mm_pause()
#else
#define CLOZE_PAUSE() std::this_thread::yield()
#endif

namespace cloze {
namespace {

thread_local bool inside = false;  // of a parallel body: what is called from there has this thread alone
thread_local int most_threads = 0;  // see limit_threads

constexpr int spin_limit = 4000;  // about 50 microseconds: longer than the gap between two kernels of one layer

struct Pool {
  std::mutex owner;  // held by the caller whose job is running
  std::mutex sleep;
  std::condition_variable wake;
  std::vector<std::thread> workers;
  std::atomic<uint64_t> epoch{0};
  std::atomic<int> active{0};
  std::atomic<int64_t> next{0};
  std::atomic<bool> stop{false};
  Body body = nullptr;
  void* context = nullptr;
  int64_t count = 0;
  std::atomic<int> threads{1};  // callers read it while another changes it
  int used = 1;  // by the job that is running

  void work(int thread) {
    for (;;) {
      const int64_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      body(context, index, thread);
    }
  }

  void loop(int thread, uint64_t seen) {
    inside = true;
    for (;;) {
      int spins = 0;
      while (epoch.load(std::memory_order_acquire) == seen && spins < spin_limit) {
        CLOZE_PAUSE();
        ++spins;
      }
      if (epoch.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(sleep);
        wake.wait(lock, [&] { return epoch.load(std::memory_order_acquire) != seen; });
      }
      ++seen;
      if (stop.load(std::memory_order_acquire)) return;
      if (thread < used) work(thread);
      active.fetch_sub(1, std::memory_order_release);
    }
  }

  void announce() {
    {
      std::lock_guard<std::mutex> lock(sleep);
      epoch.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
  }

  void resize(int wanted) {
    if (!workers.empty()) {
      stop.store(true, std::memory_order_release);
      announce();
      for (auto& worker : workers) worker.join();
      workers.clear();
      stop.store(false, std::memory_order_release);
    }
    threads.store(wanted, std::memory_order_relaxed);
    const uint64_t seen = epoch.load();
    for (int t = 1; t < wanted; ++t) workers.emplace_back([this, t, seen] { loop(t, seen); });
  }
};

// Never destroyed: a process may exit while workers sleep.
Pool& pool() {
  static Pool* instance = [] {
    auto* created = new Pool();
    const unsigned hardware = std::thread::hardware_concurrency();
    const char* wanted = std::getenv("CLOZE_THREADS");
    const int threads = wanted ? std::atoi(wanted) : static_cast<int>(hardware);
    created->resize(threads > 0 ? threads : 1);
    return created;
  }();
  return *instance;
}

struct Scratch {
  void* data[4] = {nullptr, nullptr, nullptr, nullptr};
  size_t bytes[4] = {0, 0, 0, 0};
  ~Scratch() {
    for (void* block : data) std::free(block);
  }
};
thread_local Scratch scratch;

}  // namespace

void parallel_for(int64_t count, Body body, void* context) {
  if (count <= 0) return;
  Pool& p = pool();
  const int used = thread_count();
  if (count == 1 || used == 1 || !p.owner.try_lock()) {
    for (int64_t i = 0; i < count; ++i) body(context, i, 0);
    return;
  }
  p.body = body;
  p.context = context;
  p.count = count;
  p.used = used;
  p.next.store(0, std::memory_order_relaxed);
  p.active.store(p.threads.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  p.announce();
  inside = true;
  p.work(0);
  inside = false;
  while (p.active.load(std::memory_order_acquire) != 0) CLOZE_PAUSE();
  p.owner.unlock();
}

int thread_count() {
  if (inside) return 1;
  const int threads = pool().threads.load(std::memory_order_relaxed);
  return most_threads > 0 && most_threads < threads ? most_threads : threads;
}

void limit_threads(int most) { most_threads = most; }

void set_thread_count(int threads) {
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.owner);
  if (threads >= 1 && threads != p.threads.load(std::memory_order_relaxed)) p.resize(threads);
}

float* thread_scratch(int /*thread*/, size_t bytes, int slot) {
  if (scratch.bytes[slot] < bytes) {
    std::free(scratch.data[slot]);
    const size_t rounded = (bytes + 4095) & ~size_t{4095};
    scratch.data[slot] = std::aligned_alloc(64, rounded);
    scratch.bytes[slot] = scratch.data[slot] ? rounded : 0;
  }
  return static_cast<float*>(scratch.data[slot]);
}

}  // namespace cloze
