// A lock for moments: whoever waits tries again, since a browser's main thread may not sleep.
#pragma once

namespace cloze {

struct Lock {
  int held = 0;
  bool try_lock() { return __atomic_exchange_n(&held, 1, __ATOMIC_ACQUIRE) == 0; }
  void lock() {
    while (!try_lock()) {
    }
  }
  void unlock() { __atomic_store_n(&held, 0, __ATOMIC_RELEASE); }
};

struct Guard {
  Lock& lock;
  explicit Guard(Lock& which) : lock(which) { lock.lock(); }
  ~Guard() { lock.unlock(); }
};

}  // namespace cloze
