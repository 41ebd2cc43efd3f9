// What the pool and the binding of WebAssembly say to each other.
#pragma once
#include <cstdint>

namespace cloze {

extern int32_t out_of_memory;  // set before a trap for want of memory

void end_job();
// After a trap on this thread: other threads finish their job, and the pool can be used again.
void recover();
// Workers that have come.
int32_t workers_there();
// A worker's life. Never returns.
void worker_loop();
// After a trap in worker_loop: that worker does not come back.
void worker_failed();

}  // namespace cloze
