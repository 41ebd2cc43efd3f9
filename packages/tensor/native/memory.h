// Aligned blocks from a pool. A freed block is kept for the next request of about its size; what is kept is
// bounded, and `memory_trim` gives all of it back to the system.
#pragma once
#include <cstddef>

namespace cloze {
void* memory_allocate(size_t bytes);  // null when the system has none
void memory_free(void* block);
void memory_trim();
size_t memory_cached();
}  // namespace cloze
