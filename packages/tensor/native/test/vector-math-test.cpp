// Holds vector-math.h against the C library in double precision. Build and run for one instruction set:
//   g++ -std=c++20 -O3 -ffp-contract=fast -Wall -Wextra -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -DCLOZE_ISA=avx512 vector-math-test.cpp -o /tmp/vm && /tmp/vm
//   g++ -std=c++20 -O3 -ffp-contract=fast -Wall -Wextra -mavx2 -mfma -DCLOZE_ISA=avx2 vector-math-test.cpp -o /tmp/vm && /tmp/vm
//   g++ -std=c++20 -O3 -ffp-contract=fast -Wall -Wextra -DCLOZE_ISA=baseline vector-math-test.cpp -o /tmp/vm && /tmp/vm
#include "../vector-math.h"

#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <limits>

using namespace cloze::CLOZE_ISA;

static int failures = 0;

// Largest error in units in the last place of the result (of float32, subnormals in units of the smallest normal ulp),
// or absolute where `absolute`.
template <class F, class G>
static void check(const char* name, F vector, G exact, bool absolute, double limit, double low, double high) {
  double worst = 0;
  float where = 0;
  uint32_t seed = 1;
  const auto one = [&](float x) {
    vf v = broadcast(x);
    v = vector(v);
    const float got = v[0];
    const double want = exact(static_cast<double>(x));
    double error;
    if (std::isnan(want) || std::isnan(got)) {
      error = std::isnan(want) && std::isnan(got) ? 0 : 1e9;
    } else if (std::isinf(static_cast<float>(want)) || std::isinf(got)) {
      error = static_cast<float>(want) == got ? 0 : 1e9;
    } else if (absolute) {
      error = std::fabs(got - want) / std::fmax(1.0, std::fabs(want));
    } else {
      const double magnitude = std::fmax(std::fabs(want), 1.17549435e-38);
      const double ulp = std::ldexp(1.0, std::ilogb(magnitude) - 23);
      error = std::fabs(got - want) / ulp;
    }
    if (error > worst) worst = error, where = x;
  };
  const float infinity = std::numeric_limits<float>::infinity();
  for (float x : {0.0f, -0.0f, 1.0f, -1.0f, infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), 3e38f, -3e38f, 1e-40f, -1e-40f, 1e-38f, 88.7f, 88.73f, -87.4f, -103.9f, -104.1f, 1e-20f}) one(x);
  for (int i = 0; i < 4000000; ++i) {
    seed = seed * 1664525u + 1013904223u;
    one(static_cast<float>(low + (high - low) * (seed >> 8) / 16777216.0));
    if (i % 8 == 0) {  // any bit pattern
      float x;
      seed = seed * 1664525u + 1013904223u;
      std::memcpy(&x, &seed, 4);
      one(x);
    }
  }
  const bool ok = worst <= limit;
  failures += !ok;
  std::printf("%-14s worst %.3g %s at %g %s\n", name, worst, absolute ? "(absolute)" : "ulp", static_cast<double>(where), ok ? "" : "FAILED");
}

int main() {
  check("exp", [](vf x) { return vexp(x); }, [](double x) { return std::exp(x); }, false, 1.5, -104, 89);
  check("log", [](vf x) { return vlog(x); }, [](double x) { return std::log(x); }, false, 1.5, 0, 4);
  check("erf", [](vf x) { return verf(x); }, [](double x) { return std::erf(x); }, false, 2.0, -5, 5);
  check("tanh", [](vf x) { return vtanh(x); }, [](double x) { return std::tanh(x); }, false, 2.0, -10, 10);
  check("sigmoid", [](vf x) { return vsigmoid(x); }, [](double x) { return 1 / (1 + std::exp(-x)); }, true, 1.2e-7, -80, 80);
  check("normal cdf", [](vf x) { return vnormal_cdf(x); }, [](double x) { return 0.5 * std::erfc(-x * M_SQRT1_2); }, true, 1e-7, -8, 8);
  check("normal pdf", [](vf x) { return vnormal_pdf(x); }, [](double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI); }, true, 1e-7, -8, 8);
  const auto finite = [](auto f) { return [f](double x) { return std::isinf(x) ? (x > 0 ? x : NAN) : f(x); }; };
  check("gelu", [](vf x) { return vgelu(x); }, finite([](double x) { return 0.5 * x * std::erfc(-x * M_SQRT1_2); }), true, 2e-7, -8, 8);
  check("softplus", [](vf x) { return vsoftplus(x); }, [](double x) { return x > 50 ? x : std::log1p(std::exp(x)); }, false, 3.0, -80, 80);
  const auto gelu_tanh = [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); };
  check("gelu tanh", [](vf x) { return select(vabs(x) < 1e9f, vgelu_tanh(select(vabs(x) < 1e9f, x, vzero())), vzero()); }, [&](double x) { return std::fabs(x) < 1e9 ? gelu_tanh(x) : 0; }, true, 3e-7, -8, 8);
  std::printf(failures ? "%d FAILED\n" : "all good\n", failures);
  return failures != 0;
}
