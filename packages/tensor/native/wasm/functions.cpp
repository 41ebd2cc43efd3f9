// C functions that the compiler calls by name where it has no instruction for them.
#include <cmath>

extern "C" {
float logf(float x) { return std::log(x); }
float expf(float x) { return std::exp(x); }
float sinf(float x) { return std::sin(x); }
float cosf(float x) { return std::cos(x); }
float powf(float x, float y) { return std::pow(x, y); }
// As C has it: a number where only one of the two is none.
float fmaxf(float a, float b) { return a != a ? b : b != b || a > b ? a : b; }
float fminf(float a, float b) { return a != a ? b : b != b || a < b ? a : b; }
}
