// OpenBLAS's sgemm as a server of JSON lines (two threads, set by OPENBLAS_NUM_THREADS):
//   {"cmd":"prepare","m":…,"n":…,"k":…,"a":"FILE","b":"FILE","out":"FILE"}  raw float32, a [m,k], b [k,n], out [m,n]
//   {"cmd":"run","repeat":n} -> {"ok":true,"milliseconds":[…]}
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
extern "C" {
void cblas_sgemm(int order, int transA, int transB, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
                 int ldb, float beta, float* c, int ldc);
char* openblas_get_corename(void);
char* openblas_get_config(void);
int openblas_get_num_threads(void);
}

namespace {
std::string text(const char* line, const char* key) {
  const char* at = std::strstr(line, (std::string("\"") + key + "\":\"").c_str());
  if (!at) return "";
  at += std::strlen(key) + 4;
  return std::string(at, std::strchr(at, '"') - at);
}
int number(const char* line, const char* key) {
  const char* at = std::strstr(line, (std::string("\"") + key + "\":").c_str());
  return at ? std::atoi(at + std::strlen(key) + 3) : 0;
}
bool load(const std::string& path, std::vector<float>& into) {
  FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) return false;
  const size_t got = std::fread(into.data(), sizeof(float), into.size(), file);
  std::fclose(file);
  return got == into.size();
}
}  // namespace

int main() {
  std::vector<float> a, b, c;
  int m = 0, n = 0, k = 0;
  auto multiply = [&] { cblas_sgemm(101, 111, 111, m, n, k, 1.0f, a.data(), k, b.data(), n, 0.0f, c.data(), n); };
  char* line = nullptr;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    const std::string cmd = text(line, "cmd");
    if (cmd == "prepare") {
      m = number(line, "m"), n = number(line, "n"), k = number(line, "k");
      a.assign(size_t(m) * k, 0), b.assign(size_t(k) * n, 0), c.assign(size_t(m) * n, 0);
      if (!load(text(line, "a"), a) || !load(text(line, "b"), b)) {
        std::printf("{\"ok\":false,\"error\":\"the inputs cannot be read\"}\n");
      } else {
        multiply();
        FILE* file = std::fopen(text(line, "out").c_str(), "wb");
        if (file) std::fwrite(c.data(), sizeof(float), c.size(), file), std::fclose(file);
        std::printf("{\"ok\":true,\"version\":\"%s, kernel %s, %d threads\"}\n", openblas_get_config(), openblas_get_corename(),
                    openblas_get_num_threads());
      }
    } else if (cmd == "run") {
      std::printf("{\"ok\":true,\"milliseconds\":[");
      const int repeat = number(line, "repeat");
      for (int i = 0; i < repeat; i++) {
        const auto start = std::chrono::steady_clock::now();
        multiply();
        std::printf("%s%.6f", i ? "," : "", std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
      }
      std::printf("]}\n");
    } else {
      std::printf("{\"ok\":false,\"error\":\"unknown command\"}\n");
    }
    std::fflush(stdout);
  }
}
