#include "thread-pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

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

// One word says which job there is and who may still join it, so that a worker that comes late cannot mistake one job for
// another: joined workers (8 bits), workers that there is room for (8), whether the job is open (1), number of the job (40).
namespace gate {
constexpr uint64_t joined_mask = 0xff, open = uint64_t{1} << 16;
constexpr int room_shift = 8, job_shift = 24;
inline uint64_t joined(uint64_t g) { return g & joined_mask; }
inline uint64_t room(uint64_t g) { return g >> room_shift & 0xff; }
inline uint64_t job(uint64_t g) { return g >> job_shift; }
}  // namespace gate

constexpr int most_workers = 255;

// Where a worker sleeps. A system whose processors share no cache wakes it there, though the caller has that processor by now and
// others are idle, and takes milliseconds to move it. So a caller forbids its own processor to who is about to wake, and who has
// woken may go anywhere again.
#if defined(__linux__)
class SleepingWorker {
 public:
  // All of them under the lock of those who sleep.
  void begin() {
    thread_ = pthread_self();
    processor_ = sched_getcpu();
    asleep_ = true;
  }
  void avoid(int processor) {
    if (!asleep_ || moved_ || processor < 0 || processor != processor_) return;
    cpu_set_t others;
    if (pthread_getaffinity_np(thread_, sizeof(allowed_), &allowed_) != 0) return;
    others = allowed_;
    CPU_CLR(static_cast<size_t>(processor), &others);
    moved_ = CPU_COUNT(&others) > 0 && pthread_setaffinity_np(thread_, sizeof(others), &others) == 0;
  }
  void end() {
    if (moved_) pthread_setaffinity_np(thread_, sizeof(allowed_), &allowed_);
    moved_ = asleep_ = false;
  }

 private:
  pthread_t thread_{};
  cpu_set_t allowed_{};
  int processor_ = -1;
  bool asleep_ = false, moved_ = false;
};
inline int this_processor() { return sched_getcpu(); }
#else
struct SleepingWorker {
  void begin() {}
  void avoid(int) {}
  void end() {}
};
inline int this_processor() { return -1; }
#endif

// The caller waits only for workers that have joined. One that still sleeps, or whose processor is taken by somebody else, is
// left behind: the caller does its share.
struct Pool {
  std::mutex owner;  // held by the caller whose job is running
  std::mutex sleep;
  std::condition_variable wake;
  std::vector<std::thread> workers;
  SleepingWorker sleepers[most_workers];
  int asleep = 0;  // under the lock `sleep`, as the sleepers
  std::atomic<uint64_t> state{0};  // see gate
  std::atomic<uint64_t> finished{0};  // of the workers that joined
  std::atomic<int64_t> next{0};
  std::atomic<bool> stop{false};
  // Of the job that is open; only who has joined may read them.
  Body body = nullptr;
  void* context = nullptr;
  int64_t count = 0;
  std::atomic<int> threads{1};  // callers read it while another changes it

  void work(int thread) {
    for (;;) {
      const int64_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      body(context, index, thread);
    }
  }

  void loop(uint64_t seen, int number) {
    inside = true;
    for (;;) {
      uint64_t now = state.load(std::memory_order_acquire);
      for (int spins = 0; gate::job(now) == seen && spins < spin_limit; ++spins) {
        CLOZE_PAUSE();
        now = state.load(std::memory_order_acquire);
      }
      if (gate::job(now) == seen) {
        std::unique_lock<std::mutex> lock(sleep);
        ++asleep;
        sleepers[number].begin();
        wake.wait(lock, [&] {
          now = state.load(std::memory_order_acquire);
          return gate::job(now) != seen;
        });
        sleepers[number].end();
        --asleep;
      }
      if (stop.load(std::memory_order_acquire)) return;
      seen = gate::job(now);
      while (gate::job(now) == seen && (now & gate::open) != 0 && gate::joined(now) < gate::room(now)) {
        if (!state.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
        work(static_cast<int>(gate::joined(now)) + 1);
        finished.fetch_add(1, std::memory_order_release);
        break;
      }
    }
  }

  void announce(uint64_t job, uint64_t room) {
    {
      std::lock_guard<std::mutex> lock(sleep);
      state.store(job << gate::job_shift | room << gate::room_shift | (room > 0 ? gate::open : 0), std::memory_order_release);
      if (asleep > 0) {
        const int own = this_processor();
        for (size_t i = 0; i < workers.size(); ++i) sleepers[i].avoid(own);
      }
    }
    wake.notify_all();
  }

  uint64_t next_job() const { return gate::job(state.load(std::memory_order_relaxed)) + 1; }

  // The caller's part of a job with `helpers` others, and the end of it.
  void run(uint64_t helpers) {
    next.store(0, std::memory_order_relaxed);
    finished.store(0, std::memory_order_relaxed);
    announce(next_job(), helpers);
    work(0);
    const uint64_t came = gate::joined(state.fetch_and(~gate::open, std::memory_order_acq_rel));
    // Who is not done soon may wait for this very processor.
    for (int spins = 0; finished.load(std::memory_order_acquire) != came; ++spins) {
      if (spins < spin_limit) CLOZE_PAUSE();
      else std::this_thread::yield();
    }
  }

  void resize(int wanted) {
    if (!workers.empty()) {
      stop.store(true, std::memory_order_release);
      announce(next_job(), 0);
      for (auto& worker : workers) worker.join();
      workers.clear();
      stop.store(false, std::memory_order_release);
    }
    if (wanted > most_workers + 1) wanted = most_workers + 1;
    threads.store(wanted, std::memory_order_relaxed);
    const uint64_t seen = gate::job(state.load());
    for (int t = 1; t < wanted; ++t) workers.emplace_back([this, seen, t] { loop(seen, t - 1); });
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
  inside = true;
  p.run(static_cast<uint64_t>(used - 1));
  inside = false;
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
