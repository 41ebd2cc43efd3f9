#include "memory.h"

#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace cloze {
namespace {

constexpr size_t huge_page = size_t{2} << 20;
constexpr size_t cache_limit = size_t{192} << 20;

struct Memory {
  std::mutex lock;
  std::map<size_t, std::vector<void*>> cached;  // by size
  std::unordered_map<void*, size_t> live;
  size_t cached_bytes = 0;
};
Memory& memory() {
  static Memory* instance = new Memory();  // never destroyed: finalizers may run late
  return *instance;
}

// Steps of an eighth of the power of two below: at most 12.5 % is lost to rounding.
size_t rounded(size_t bytes) {
  if (bytes <= 256) return (bytes + 63) & ~size_t{63};
  size_t power = 256;
  while (power * 2 <= bytes) power *= 2;
  const size_t step = power >= huge_page * 4 ? huge_page / 8 : (power / 8 < 64 ? 64 : power / 8);
  return (bytes + step - 1) / step * step;
}

void* from_system(size_t size) {
  if (size < huge_page) return std::aligned_alloc(64, size);
  void* block = nullptr;
  if (posix_memalign(&block, huge_page, size) != 0) return nullptr;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  madvise(block, size, MADV_HUGEPAGE);
#endif
  return block;
}

void shrink(Memory& m, size_t limit) {
  while (m.cached_bytes > limit && !m.cached.empty()) {
    auto largest = std::prev(m.cached.end());
    std::free(largest->second.back());
    largest->second.pop_back();
    m.cached_bytes -= largest->first;
    if (largest->second.empty()) m.cached.erase(largest);
  }
}

}  // namespace

void* memory_allocate(size_t bytes) {
  Memory& m = memory();
  const size_t size = rounded(bytes == 0 ? 64 : bytes);
  std::lock_guard<std::mutex> guard(m.lock);
  auto found = m.cached.lower_bound(size);
  if (found != m.cached.end() && found->first <= size + size / 8) {
    void* block = found->second.back();
    found->second.pop_back();
    m.cached_bytes -= found->first;
    m.live[block] = found->first;
    if (found->second.empty()) m.cached.erase(found);
    return block;
  }
  void* block = from_system(size);
  if (!block) {
    shrink(m, 0);
    block = from_system(size);
  }
  if (block) m.live[block] = size;
  return block;
}

void memory_free(void* block) {
  Memory& m = memory();
  std::lock_guard<std::mutex> guard(m.lock);
  auto found = m.live.find(block);
  if (found == m.live.end()) return;
  const size_t size = found->second;
  m.live.erase(found);
  m.cached[size].push_back(block);
  m.cached_bytes += size;
  if (m.cached_bytes > cache_limit) shrink(m, cache_limit);
}

void memory_trim() {
  Memory& m = memory();
  std::lock_guard<std::mutex> guard(m.lock);
  shrink(m, 0);
}

size_t memory_cached() {
  Memory& m = memory();
  std::lock_guard<std::mutex> guard(m.lock);
  return m.cached_bytes;
}

}  // namespace cloze
