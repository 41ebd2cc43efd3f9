// Holds the matrix products against a naive double-precision version, over odd sizes and strides. For one instruction set:
//   ./gemm-test.sh        (or: ./gemm-test.sh avx2)
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <vector>

#include "../kernels/fetch-ahead.h"
#include "../kernels/gemm.h"
#include "../instruction-set.h"
#include "../thread-pool.h"

using namespace cloze::CLOZE_ISA;

static uint64_t state = 88172645463325252ull;
static float uniform() {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return static_cast<float>(static_cast<double>(state >> 40) / (1 << 23) - 1.0);
}
static int64_t below(int64_t n) {
  uniform();
  return static_cast<int64_t>(state % static_cast<uint64_t>(n));
}

// Memory that ends where it ends: a read or write beyond it hits the guard values (writes) or a NaN (reads that count).
struct Buffer {
  static constexpr size_t guard = 64;
  std::vector<float> data;
  explicit Buffer(int64_t size) : data(static_cast<size_t>(size) + 2 * guard, std::nanf("")) {
    for (int64_t i = 0; i < size; ++i) get()[i] = uniform();
  }
  float* get() { return data.data() + guard; }
  bool intact() const {
    for (size_t i = 0; i < guard; ++i) {
      if (!std::isnan(data[i]) || !std::isnan(data[data.size() - 1 - i])) return false;
    }
    return true;
  }
};

static int failures = 0;
static int cases = 0;
static void report(bool ok, const char* what, int64_t m, int64_t n, int64_t k, double error, const char* extra = "") {
  ++cases;
  if (ok) return;
  if (++failures < 30) std::printf("FAILED %s m %ld n %ld k %ld error %g %s\n", what, (long)m, (long)n, (long)k, error, extra);
}

static void matmul_case(int64_t batch, int64_t m, int64_t n, int64_t k, int layout_a, int layout_b, float alpha, float beta, int64_t share = 0) {
  // layouts: 0 rows, 1 columns, 2 rows padded, 3 strided on both axes
  const auto strides = [](int layout, int64_t rows, int64_t cols, int64_t& r, int64_t& c, int64_t& size) {
    if (layout == 0) r = cols, c = 1;
    if (layout == 1) r = 1, c = rows;
    if (layout == 2) r = cols + 3, c = 1;
    if (layout == 3) r = 2 * cols + 1, c = 2;
    size = rows > 0 && cols > 0 ? (rows - 1) * r + (cols - 1) * c + 1 : 0;
  };
  int64_t ra = 0, ca = 0, rb = 0, cb = 0, sa = 0, sb = 0;
  strides(layout_a, m, k, ra, ca, sa);
  strides(layout_b, k, n, rb, cb, sb);
  const int64_t ldc = n + (layout_a == 2 ? 5 : 0);
  const int64_t sc = m * ldc;
  Buffer a(share == 1 ? sa : sa * batch), b(share == 2 ? sb : sb * batch), c(sc * batch);
  const std::vector<float> before = c.data;
  if (beta == 0) {
    for (int64_t g = 0; g < batch; ++g)
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) c.get()[g * sc + i * ldc + j] = std::nanf("");
  }
  matmul_f32(a.get(), b.get(), c.get(), batch, m, n, k, share == 1 ? 0 : sa, share == 2 ? 0 : sb, sc, ra, ca, rb, cb, ldc, alpha, beta);
  double worst = 0;
  for (int64_t g = 0; g < batch; ++g) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        const float* pa = a.get() + (share == 1 ? 0 : g * sa) + i * ra;
        const float* pb = b.get() + (share == 2 ? 0 : g * sb) + j * cb;
        for (int64_t p = 0; p < k; ++p) sum += static_cast<double>(pa[p * ca]) * pb[p * rb];
        const size_t at = Buffer::guard + static_cast<size_t>(g * sc + i * ldc + j);
        const double want = alpha * sum + (beta == 0 ? 0.0 : beta * static_cast<double>(before[at]));
        const double error = std::fabs(c.data[at] - want) / (1 + 0.1 * std::sqrt(static_cast<double>(k)));
        if (!(error <= worst)) worst = error;
      }
      for (int64_t j = n; j < ldc; ++j) {
        const size_t at = Buffer::guard + static_cast<size_t>(g * sc + i * ldc + j);
        if (c.data[at] != before[at]) worst = 1e9;
      }
    }
  }
  char extra[100];
  std::snprintf(extra, sizeof extra, "batch %ld layouts %d %d alpha %g beta %g", (long)batch, layout_a, layout_b, alpha, beta);
  report(worst < 4e-5 && c.intact(), "matmul", m, n, k, worst, extra);
}

static double act(int kind, double x) {
  switch (kind) {
    case 1: return 0.5 * x * std::erfc(-x * M_SQRT1_2);
    case 2: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case 3: return x > 0 ? x : 0;
    case 4: return x / (1 + std::exp(-x));
    case 5: return std::tanh(x);
    case 6: return x / (1 + std::exp(-1.702 * x));
    default: return x;
  }
}

static void linear_case(int64_t m, int64_t n, int64_t k, int activation, bool with_bias, bool with_pre, int residual, bool packed) {
  const int64_t ldx = k + (m % 3), ldy = n + (n % 2);
  Buffer x(m * ldx), w(n * k), bias(n), y(m * ldy), pre(m * ldy), other(m * ldy);
  const float* r = residual == 0 ? nullptr : (residual == 1 ? other.get() : y.get());
  const std::vector<float> kept = residual == 2 ? y.data : other.data;
  if (packed) {
    const size_t bytes = static_cast<size_t>(packed_weight_bytes(n, k));
    float* memory = static_cast<float*>(std::aligned_alloc(64, bytes + 64));
    pack_weight_f32(w.get(), memory, n, k);
    linear_packed_f32(x.get(), memory, with_bias ? bias.get() : nullptr, y.get(), m, n, k, ldx, ldy, activation, with_pre ? pre.get() : nullptr, r);
    std::free(memory);
  } else {
    linear_f32(x.get(), w.get(), with_bias ? bias.get() : nullptr, y.get(), m, n, k, ldx, ldy, activation, with_pre ? pre.get() : nullptr, r);
  }
  double worst = 0;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = with_bias ? bias.get()[j] : 0;
      for (int64_t p = 0; p < k; ++p) sum += static_cast<double>(x.get()[i * ldx + p]) * w.get()[j * k + p];
      const double scale = 1 + 0.1 * std::sqrt(static_cast<double>(k));
      double error = with_pre ? std::fabs(pre.get()[i * ldy + j] - sum) / scale : 0;
      if (!(error <= worst)) worst = error;
      double want = act(activation, sum);
      if (residual) want += kept[Buffer::guard + static_cast<size_t>(i * ldy + j)];
      error = std::fabs(y.get()[i * ldy + j] - want) / scale;
      if (!(error <= worst)) worst = error;
    }
  }
  char extra[100];
  std::snprintf(extra, sizeof extra, "activation %d bias %d pre %d residual %d packed %d", activation, with_bias, with_pre, residual, packed);
  report(worst < 4e-5 && y.intact() && pre.intact(), "linear", m, n, k, worst, extra);
}

// Numbers of all magnitudes beside each other, down to those below the smallest normal one and up to the largest.
static void magnitudes(int64_t m, int64_t n, int64_t k, int largest) {
  const auto fill = [](Buffer& x, int64_t size, int from, int to) {
    for (int64_t i = 0; i < size; ++i) x.get()[i] = std::ldexp(uniform(), from + static_cast<int>(below(to - from + 1)));
  };
  Buffer a(m * k), b(k * n), c(m * n);
  fill(a, m * k, -149, largest);
  fill(b, k * n, -149, -largest);
  matmul_f32(a.get(), b.get(), c.get(), 1, m, n, k, m * k, k * n, m * n, k, 1, n, 1, n, 1, 0);
  double worst = 0;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      // What is below the smallest normal number may count as zero.
      double sum = 0, size = std::ldexp(1.0, -126);
      for (int64_t p = 0; p < k; ++p) {
        const double x = a.get()[i * k + p], y = b.get()[p * n + j];
        sum += x * y;
        size += std::fabs(x * y) + std::ldexp(std::fabs(x) + std::fabs(y), -103);
      }
      const double error = std::fabs(c.get()[i * n + j] - sum) / size;
      if (!(error <= worst)) worst = error;
    }
  }
  report(worst < 1e-6, "magnitudes", m, n, k, worst);
}

// Rows from which on a product takes another way (gemm-tiles.h); 0: none does.
#if defined(__AMX_BF16__)
constexpr int64_t in_tiles_from = 64;
#else
constexpr int64_t in_tiles_from = 0;
#endif

// The same bits for any number of threads, and for a row whatever rows are beside it.
static void same_bits(int64_t m, int64_t n, int64_t k) {
  Buffer x(m * k), w(n * k), one(m * n), two(m * n), alone(std::max(int64_t{1}, in_tiles_from) * n);
  cloze::set_thread_count(1);
  linear_f32(x.get(), w.get(), nullptr, one.get(), m, n, k, k, n, 0, nullptr, nullptr);
  cloze::set_thread_count(3);
  linear_f32(x.get(), w.get(), nullptr, two.get(), m, n, k, k, n, 0, nullptr, nullptr);
  bool same = true;
  for (int64_t i = 0; i < m * n; ++i) same = same && one.get()[i] == two.get()[i];
  std::vector<float> memory(static_cast<size_t>(packed_weight_bytes(n, k)) / 4 + 16);
  float* packed = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
  pack_weight_f32(w.get(), packed, n, k);
  const int64_t rows = in_tiles_from > 0 && m >= in_tiles_from ? in_tiles_from : 1;
  linear_packed_f32(x.get() + (m / 2) * k, packed, nullptr, alone.get(), rows, n, k, k, n, 0, nullptr, nullptr);
  for (int64_t j = 0; j < rows * n; ++j) same = same && (m <= 4 || alone.get()[j] == one.get()[(m / 2) * n + j]);
  report(same, "same bits", m, n, k, 0);
  cloze::set_thread_count(2);
}

// Together the tiles of a panel fetch every line of the next one once, in order, whether or not the first fetches its own.
static void fetches_all(int lines_of_round, int64_t tiles, bool fetched) {
  const int64_t rounds = 7;
  std::vector<char> memory(static_cast<size_t>(2 * rounds * lines_of_round * cache_line));
  const char* next = memory.data() + rounds * lines_of_round * cache_line;
  const FetchPlan plan(memory.data(), fetched, next, rounds, lines_of_round, tiles);
  const char* at = next;
  bool ok = true;
  for (int64_t t = 0; t < tiles; ++t) {
    const Ahead ahead = plan.of_tile(t);
    if (!fetched && t == 0) {
      ok = ok && ahead.lines == lines_of_round && ahead.from > memory.data();
    } else if (ahead.lines > 0) {
      ok = ok && ahead.from == at;
      at += rounds * ahead.lines * cache_line;
    }
  }
  const bool all = at == next + rounds * lines_of_round * cache_line;
  report(ok && plan.fetches_next() == (fetched || tiles > 1) && all == plan.fetches_next(), "fetch", lines_of_round, tiles, fetched, 0);
}

int main() {
  cloze::best_isa();  // asks for tile registers
  const int64_t sizes[] = {0, 1, 2, 3, 5, 7, 13, 16, 17, 31, 33, 64, 67};
  for (int64_t m : sizes)
    for (int64_t n : sizes)
      for (int64_t k : {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{16}, int64_t{41}})
        for (int la = 0; la < 4; ++la)
          for (int lb = 0; lb < 4; ++lb) matmul_case(1, m, n, k, la, lb, (m + n) % 3 ? 1.0f : 0.5f, static_cast<float>((n + k) % 3) * 0.5f);
  for (int i = 0; i < 150; ++i)
    matmul_case(1, 1 + below(500), 1 + below(200), 1 + below(900), (int)below(4), (int)below(4), below(2) ? 1.0f : -1.5f, static_cast<float>(below(3)) * 0.5f);
  for (int i = 0; i < 150; ++i)
    matmul_case(1 + below(9), 1 + below(60), 1 + below(90), 1 + below(70), (int)below(4), (int)below(4), 1.0f, below(2) ? 0.0f : 1.0f, below(3));
  matmul_case(1, 700, 150, 1100, 0, 1, 1, 0);
  matmul_case(1, 700, 2100, 1100, 1, 0, 1, 1);
  matmul_case(3, 350, 130, 500, 0, 1, 1, 0);
  for (int packed = 0; packed < 2; ++packed) {
    for (int activation = 0; activation < 7; ++activation)
      for (int residual = 0; residual < (activation == 0 ? 3 : 2); ++residual)
        for (int flags = 0; flags < 4; ++flags) {
          if (residual == 2 && (flags & 2)) continue;
          linear_case(1 + below(40), 1 + below(70), below(20), activation, flags & 1, flags & 2, residual, packed);
          linear_case(1 + below(400), 1 + below(70), 380 + below(500), activation, flags & 1, flags & 2, residual, packed);
          linear_case(1 + below(5), 1 + below(170), 1 + below(500), activation, flags & 1, flags & 2, residual, packed);
        }
  }
  for (int64_t m : {1, 4, 14, 64, 96, 333})
    for (int largest : {0, 60, 127}) magnitudes(m, 70, 90, largest);
  for (int lines : {2, 4, 8, 32, 64})
    for (int64_t tiles : {1, 2, 3, 5, 8, 16, 40})
      for (bool fetched : {false, true}) fetches_all(lines, tiles, fetched);
  for (int64_t m : {1, 4, 5, 14, 37, 400}) same_bits(m, 131, 801);
  std::printf("%d cases, %d failed\n", cases, failures);
  return failures != 0;
}
