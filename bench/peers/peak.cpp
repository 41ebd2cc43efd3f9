// The most float32 multiply-adds per second that this machine's cores do (independent chains of FMA in registers only), and the
// most bytes that they read from memory, one after another.
// A server of JSON lines: {"cmd":"run","threads":2,"milliseconds":60} -> {"ok":true,"gflops":…,"isa":"avx512"};
// {"cmd":"read","threads":2,"megabytes":1500} -> {"ok":true,"gigabytes":…}.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {
constexpr int chains = 14;  // latency 4 times two units needs 8; more hides uneven scheduling
constexpr long inner = 2000;
volatile float sink;

#if defined(__x86_64__)
// Written as assembly: a compiler may keep an array of accumulators on the stack, which measures stores instead.
#define FMA(r, c) "vfmadd231ps %%" r "mm14, %%" r "mm15, %%" r "mm" c "\n\t"
#define CLEAR(c) "vxorps %%xmm" c ", %%xmm" c ", %%xmm" c "\n\t"
#define ALL(f) f("0") f("1") f("2") f("3") f("4") f("5") f("6") f("7") f("8") f("9") f("10") f("11") f("12") f("13")
#define FMA512(c) FMA("z", c)
#define FMA256(c) FMA("y", c)
#define CLOBBERS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define LOOP(f)                                                                                                      \
  long count = inner;                                                                                                \
  asm volatile(ALL(CLEAR) CLEAR("14") CLEAR("15") "1:\n\t" ALL(f) "dec %0\n\tjnz 1b\n\tvzeroupper" : "+r"(count) : : CLOBBERS, "cc")
__attribute__((target("avx512f"))) void block512() { LOOP(FMA512); }
__attribute__((target("avx2,fma"))) void block256() { LOOP(FMA256); }
#endif
using vector4 = float __attribute__((vector_size(16)));
void blockPortable() {
  vector4 acc[chains];
  for (auto& a : acc) a = vector4{1, 1, 1, 1};
  vector4 x{0.999f, 0.999f, 0.999f, 0.999f}, y{0.001f, 0.001f, 0.001f, 0.001f};
  for (long i = 0; i < inner; i++) {
    asm volatile("" ::: "memory");
#pragma GCC unroll 14
    for (int c = 0; c < chains; c++) acc[c] = acc[c] * x + y;
  }
  float total = 0;
  for (auto& a : acc) total += a[0];
  sink = total;
}

struct Kernel {
  const char* isa;
  void (*block)();
  double flops;
};
Kernel pick() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {"avx512", block512, 2.0 * 16 * chains * inner};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {"avx2", block256, 2.0 * 8 * chains * inner};
#endif
  return {"portable", blockPortable, 2.0 * 4 * chains * inner};
}

double measure(const Kernel& kernel, int threads, double milliseconds) {
  using clock = std::chrono::steady_clock;
  std::atomic<int> ready{0};
  std::atomic<double> total{0};
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; t++) {
    workers.emplace_back([&] {
      for (int i = 0; i < 50; i++) kernel.block();
      ready++;
      while (ready.load() < threads) {
      }
      long blocks = 0;
      const auto start = clock::now();
      double seconds = 0;
      do {
        for (int i = 0; i < 20; i++) kernel.block();
        blocks += 20;
        seconds = std::chrono::duration<double>(clock::now() - start).count();
      } while (seconds * 1e3 < milliseconds);
      double rate = blocks * kernel.flops / seconds / 1e9, seen = total.load();
      while (!total.compare_exchange_weak(seen, seen + rate)) {
      }
    });
  }
  for (auto& worker : workers) worker.join();
  return total.load();
}

// Sums of `count` vectors; `ahead` vectors are asked for before they are read (0: the processor guesses).
using vector16 = float __attribute__((vector_size(64)));
template <long ahead>
void read(const vector16* from, long count) {
  vector16 sums[4] = {};
  for (long i = 0; i + 4 <= count; i += 4) {
    for (int j = 0; j < 4; j++) {
      if (ahead > 0) __builtin_prefetch(from + i + j + ahead);
      sums[j] += from[i + j];
    }
  }
  sink = (sums[0] + sums[1] + sums[2] + sums[3])[0];
}

// Bytes per second in the quickest of some passes.
double measureReading(int threads, long bytes) {
  const long each = bytes / threads / long(sizeof(vector16));
  std::vector<vector16*> blocks(threads);
  double best = 0;
  const auto all = [&](auto work) {
    std::vector<std::thread> workers;
    const auto start = std::chrono::steady_clock::now();
    for (int t = 0; t < threads; t++) workers.emplace_back(work, t);
    for (auto& worker : workers) worker.join();
    return double(each) * threads * sizeof(vector16) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  all([&](int t) {
    blocks[t] = static_cast<vector16*>(std::aligned_alloc(4096, (each * sizeof(vector16) + 4095) / 4096 * 4096));
    if (blocks[t]) std::memset(static_cast<void*>(blocks[t]), 1, each * sizeof(vector16));
  });
  for (auto* block : blocks) {
    if (block) continue;
    for (auto* other : blocks) std::free(other);
    return 0;
  }
  for (int pass = 0; pass < 6; pass++) {
    for (const auto work : {read<0>, read<16>, read<64>}) {
      const double rate = all([&](int t) { work(blocks[t], each); });
      if (rate > best) best = rate;
    }
  }
  for (auto* block : blocks) std::free(block);
  return best;
}

double number(const char* line, const char* key, double otherwise) {
  const char* at = std::strstr(line, (std::string("\"") + key + "\":").c_str());
  return at ? std::atof(at + std::strlen(key) + 3) : otherwise;
}
}  // namespace

int main() {
  const Kernel kernel = pick();
  char* line = nullptr;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    const int threads = int(number(line, "threads", 2));
    if (std::strstr(line, "\"read\"")) {
      std::printf("{\"ok\":true,\"gigabytes\":%.3f}\n", measureReading(threads, long(number(line, "megabytes", 1500) * 1e6)) / 1e9);
      std::fflush(stdout);
      continue;
    }
    std::printf("{\"ok\":true,\"gflops\":%.3f,\"isa\":\"%s\"}\n", measure(kernel, threads, number(line, "milliseconds", 60)), kernel.isa);
    std::fflush(stdout);
  }
}
