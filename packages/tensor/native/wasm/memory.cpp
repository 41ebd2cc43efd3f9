// memory.h for WebAssembly, whose memory grows and never shrinks: blocks lie one after another, know the size of the one
// before, and free neighbours become one. Free blocks are listed by size, eight lists for each power of two.
#include "../memory.h"

#include <cstdint>

#include "lock.h"

extern "C" unsigned char __heap_base;

namespace cloze {
namespace {

constexpr uint32_t unit = 64;         // sizes are multiples of it, and every address that is given out
constexpr uint32_t header_bytes = 16; // directly before that address
constexpr uint32_t used = 1;
constexpr uint32_t page = 65536;
constexpr int lists = 256;

struct Block {
  uint32_t state;          // bytes with the header; the lowest bit: in use
  uint32_t before;         // bytes of the block before; 0 for the first
  uint32_t unused[2];
  Block* next;             // these two only in free blocks
  Block* previous;

  uint32_t size() const { return state & ~used; }
  bool free() const { return !(state & used); }
  Block* after() { return reinterpret_cast<Block*>(reinterpret_cast<char*>(this) + size()); }
  Block* earlier() { return reinterpret_cast<Block*>(reinterpret_cast<char*>(this) - before); }
  void* data() { return reinterpret_cast<char*>(this) + header_bytes; }
};

Lock lock;
Block* free_lists[lists];
uint32_t filled[lists / 32];  // a bit for each list that holds something
Block* last = nullptr;        // a used block of no size, where the heap ends
size_t free_bytes = 0;

int list_of(uint32_t size) {
  const uint32_t units = size / unit;
  if (units < 8) return static_cast<int>(units);
  const int power = 31 - __builtin_clz(units);
  return (power - 2) * 8 + static_cast<int>((units >> (power - 3)) & 7);
}

void insert(Block* block) {
  const int list = list_of(block->size());
  block->previous = nullptr;
  block->next = free_lists[list];
  if (block->next) block->next->previous = block;
  free_lists[list] = block;
  filled[list / 32] |= 1u << (list % 32);
  free_bytes += block->size();
}

void remove(Block* block) {
  const int list = list_of(block->size());
  if (block->previous) block->previous->next = block->next;
  else free_lists[list] = block->next;
  if (block->next) block->next->previous = block->previous;
  if (!free_lists[list]) filled[list / 32] &= ~(1u << (list % 32));
  free_bytes -= block->size();
}

// A free block of at least `size` bytes, taken out of its list; null where there is none.
Block* find(uint32_t size) {
  const int own = list_of(size);
  for (Block* block = free_lists[own]; block; block = block->next) {
    if (block->size() >= size) return remove(block), block;
  }
  for (int list = own + 1; list < lists; ++list) {
    const uint32_t rest = filled[list / 32] >> (list % 32);
    if (!rest) {
      list = list / 32 * 32 + 31;
      continue;
    }
    Block* block = free_lists[list + __builtin_ctz(rest)];
    remove(block);
    return block;
  }
  return nullptr;
}

// Joins a block that nobody uses with free neighbours, and lists it.
void give_back(Block* block) {
  Block* next = block->after();
  uint32_t size = block->size();
  if (next->free()) {
    remove(next);
    size += next->size();
  }
  if (block->before && block->earlier()->free()) {
    block = block->earlier();
    remove(block);
    size += block->size();
  }
  block->state = size;
  block->after()->before = size;
  insert(block);
}

bool grow(uint32_t size) {
  if (!last) {
    const auto start = reinterpret_cast<uintptr_t>(&__heap_base);
    last = reinterpret_cast<Block*>((start + header_bytes + unit - 1) / unit * unit - header_bytes);
    last->before = 0;
    last->state = used;
  }
  // What lies between the heap's end and the memory's, less the mark of the new end.
  const auto room = [] {
    const int64_t end = static_cast<int64_t>(__builtin_wasm_memory_size(0)) * page;
    return end - static_cast<int64_t>(reinterpret_cast<uintptr_t>(last)) - static_cast<int64_t>(sizeof(Block));
  };
  if (room() < size) {
    const int64_t needed = (size - room() + page - 1) / page;
    const auto more = [](int64_t pages) {
      return __builtin_wasm_memory_grow(0, static_cast<size_t>(pages)) != static_cast<size_t>(-1);
    };
    // By an eighth at least, so that a model is not loaded in thousands of steps.
    const int64_t wanted = static_cast<int64_t>(__builtin_wasm_memory_size(0) / 8) + 16;
    if (!(needed < wanted && more(wanted)) && !more(needed)) return false;
  }
  const auto whole = static_cast<uint32_t>(room() / unit * unit);
  Block* block = last;
  block->state = whole | used;
  last = block->after();
  last->before = whole;
  last->state = used;
  give_back(block);
  return true;
}

}  // namespace

void* memory_allocate(size_t bytes) {
  if (bytes > 0xfffe0000u) return nullptr;
  const uint32_t size = (static_cast<uint32_t>(bytes) + header_bytes + unit - 1) / unit * unit;
  const Guard guard(lock);
  Block* block = find(size);
  if (!block) {
    if (!grow(size)) return nullptr;
    block = find(size);
    if (!block) return nullptr;
  }
  const uint32_t rest = block->size() - size;
  if (rest >= 2 * unit) {
    block->state = size | used;
    Block* other = block->after();
    other->before = size;
    other->state = rest;
    other->after()->before = rest;
    insert(other);
  } else {
    block->state |= used;
  }
  return block->data();
}

void memory_free(void* data) {
  if (!data) return;
  const Guard guard(lock);
  give_back(reinterpret_cast<Block*>(static_cast<char*>(data) - header_bytes));
}

void memory_trim() {}

size_t memory_cached() {
  const Guard guard(lock);
  return free_bytes;
}

}  // namespace cloze
