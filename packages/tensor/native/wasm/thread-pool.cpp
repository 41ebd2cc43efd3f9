// thread-pool.h for WebAssembly: the workers are JavaScript's (backend/wasm/workers.ts) and come when they have started.
// A call shares its work with those that are there. Without shared memory there are none.
#include "../thread-pool.h"

#include "../memory.h"
#include "binding.h"
#include "lock.h"

namespace cloze {
namespace {

thread_local bool inside = false;  // of a parallel body: what is called from there has this thread alone

thread_local int limit = 0;  // see limit_threads

constexpr int slots = 4;
struct Scratch {
  void* data[slots];
  size_t bytes[slots];
};
thread_local Scratch scratch = {};

constexpr uint32_t most_threads = 255;

// The word of a job, as in ../thread-pool.cpp: workers that may take part (8 bits), those that have joined (8), whether it is
// open (1), its number (15).
namespace gate {
constexpr uint32_t one_more = 1u << 8, open = 1u << 16;
inline uint32_t room(uint32_t word) { return word & 0xff; }
inline uint32_t joined(uint32_t word) { return word >> 8 & 0xff; }
inline uint32_t number(uint32_t word) { return word >> 17; }
}  // namespace gate

struct Pool {
  Lock owner;             // held by the caller whose job is running
  uint32_t job = 0;       // see gate
  uint32_t finished = 0;  // of the workers that joined
  uint32_t workers = 0;   // that have come
  uint32_t threads = 1;   // wanted
  uint32_t usable = most_threads - 1;  // workers before the first that fell out of a job for good
  uint32_t failed = 0;                 // whether one did, in this job
  int64_t next = 0;
  int64_t count = 0;
  Body body = nullptr;
  void* context = nullptr;
};
Pool pool;

void work(int thread) {
  for (;;) {
    const int64_t index = __atomic_fetch_add(&pool.next, 1, __ATOMIC_RELAXED);
    if (index >= pool.count) return;
    pool.body(pool.context, index, thread);
  }
}

uint32_t helpers() {
  const uint32_t there = __atomic_load_n(&pool.workers, __ATOMIC_ACQUIRE);
  const uint32_t usable = __atomic_load_n(&pool.usable, __ATOMIC_RELAXED);
  const uint32_t able = there < usable ? there : usable;
  const uint32_t wanted = (able < pool.threads - 1 ? able : pool.threads - 1) + 1;
  return (limit > 0 && static_cast<uint32_t>(limit) < wanted ? static_cast<uint32_t>(limit) : wanted) - 1;
}

// Closes the job and waits for the workers that joined it: one that is still asleep is left behind. A browser's main thread may
// not sleep.
void close_job() {
  const uint32_t word = __atomic_fetch_and(&pool.job, ~gate::open, __ATOMIC_ACQ_REL);
  while (__atomic_load_n(&pool.finished, __ATOMIC_ACQUIRE) != gate::joined(word)) {
  }
}

}  // namespace

void parallel_for(int64_t count, Body body, void* context) {
  if (count <= 0) return;
  const uint32_t others = inside ? 0 : helpers();
  if (count == 1 || others == 0 || !pool.owner.try_lock()) {
    for (int64_t i = 0; i < count; ++i) body(context, i, 0);
    return;
  }
  pool.body = body;
  pool.context = context;
  pool.count = count;
  __atomic_store_n(&pool.next, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&pool.finished, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&pool.job, (gate::number(pool.job) + 1) << 17 | gate::open | others, __ATOMIC_RELEASE);
  __builtin_wasm_memory_atomic_notify(reinterpret_cast<int*>(&pool.job), most_threads);
  inside = true;
  work(0);
  end_job();
}

// After the caller's own part.
void end_job() {
  inside = false;
  close_job();
  pool.owner.unlock();
  if (__atomic_exchange_n(&pool.failed, 0, __ATOMIC_RELAXED) != 0) __builtin_trap();
}

int thread_count() { return inside ? 1 : static_cast<int>(helpers() + 1); }

void set_thread_count(int threads) {
  const Guard guard(pool.owner);
  pool.threads = threads < 1 ? 1 : static_cast<uint32_t>(threads) > most_threads ? most_threads : static_cast<uint32_t>(threads);
}

void limit_threads(int most) { limit = most; }

float* thread_scratch(int /*thread*/, size_t bytes, int slot) {
  if (scratch.bytes[slot] < bytes) {
    memory_free(scratch.data[slot]);
    const size_t rounded = (bytes + 4095) & ~size_t{4095};
    scratch.bytes[slot] = 0;
    scratch.data[slot] = memory_allocate(rounded);
    // Writing to address 0 would not fail here, as it does elsewhere. binding.cpp tells what a trap meant.
    if (!scratch.data[slot]) out_of_memory = 1, __builtin_trap();
    scratch.bytes[slot] = rounded;
  }
  return static_cast<float*>(scratch.data[slot]);
}

void recover() {
  if (inside) {
    inside = false;
    close_job();
    __atomic_store_n(&pool.failed, 0, __ATOMIC_RELAXED);
    pool.owner.unlock();
  }
}

int32_t workers_there() { return static_cast<int32_t>(__atomic_load_n(&pool.workers, __ATOMIC_ACQUIRE)); }

constexpr int spin_limit = 20000;  // some tens of microseconds: longer than the gap between two kernels of one layer
thread_local uint32_t own_number = 0;

void worker_loop() {
  inside = true;
  pool.owner.lock();
  const uint32_t number = own_number = pool.workers + 1;
  uint32_t seen = gate::number(pool.job);
  __atomic_store_n(&pool.workers, number, __ATOMIC_RELEASE);
  pool.owner.unlock();
  for (;;) {
    uint32_t job = __atomic_load_n(&pool.job, __ATOMIC_ACQUIRE);
    for (int spins = 0; gate::number(job) == seen && spins < spin_limit; ++spins) job = __atomic_load_n(&pool.job, __ATOMIC_ACQUIRE);
    if (gate::number(job) == seen) {
      __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int*>(&pool.job), static_cast<int>(job), -1);
      continue;
    }
    seen = gate::number(job);
    while (gate::number(job) == seen && (job & gate::open) != 0 && number <= gate::room(job)) {
      if (!__atomic_compare_exchange_n(&pool.job, &job, job + gate::one_more, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) continue;
      work(static_cast<int>(number));
      __atomic_fetch_add(&pool.finished, 1, __ATOMIC_RELEASE);
      break;
    }
  }
}

void worker_failed() {
  if (own_number == 0) return;
  uint32_t usable = __atomic_load_n(&pool.usable, __ATOMIC_RELAXED);
  while (own_number - 1 < usable && !__atomic_compare_exchange_n(&pool.usable, &usable, own_number - 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  __atomic_store_n(&pool.failed, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&pool.finished, 1, __ATOMIC_RELEASE);
}

}  // namespace cloze
