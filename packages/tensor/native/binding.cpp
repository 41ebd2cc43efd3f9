// The only file that knows Node-API. Every kernel of kernels.def becomes a JavaScript function that takes the
// same arguments: numbers for numbers, and for a pointer an address (number), a typed array, or null.
#include <node_api.h>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#define CLOZE_ISA baseline
#include "kernels/kernels.h"
#undef CLOZE_ISA
#include "instruction-set.h"
#include "memory.h"
#include "plan.h"
#include "thread-pool.h"

extern "C" {
void* const* cloze_table_baseline();
#if defined(__x86_64__)
void* const* cloze_table_avx2();
void* const* cloze_table_avx512();
void* const* cloze_table_amx();
#endif
}

namespace {

void* pointer_of(napi_env env, napi_value value) {
  double address = 0;
  if (napi_get_value_double(env, value, &address) == napi_ok)
    return reinterpret_cast<void*>(static_cast<uintptr_t>(address));
  bool typed = false;
  napi_is_typedarray(env, value, &typed);
  if (!typed) return nullptr;
  void* data = nullptr;
  napi_get_typedarray_info(env, value, nullptr, nullptr, &data, nullptr, nullptr);
  return data;
}

template <class T>
T argument(napi_env env, napi_value value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<T>(pointer_of(env, value));
  } else {
    double number = 0;
    napi_get_value_double(env, value, &number);
    return static_cast<T>(number);
  }
}

template <class F>
struct Wrap;
template <class R, class... A>
struct Wrap<R (*)(A...)> {
  template <size_t... I>
  static napi_value run(napi_env env, R (*kernel)(A...), napi_value* values, std::index_sequence<I...>) {
    if constexpr (std::is_void_v<R>) {
      kernel(argument<A>(env, values[I])...);
      return nullptr;
    } else {
      napi_value result;
      napi_create_double(env, static_cast<double>(kernel(argument<A>(env, values[I])...)), &result);
      return result;
    }
  }
  static napi_value call(napi_env env, napi_callback_info info) {
    napi_value values[sizeof...(A) + 1];
    size_t count = sizeof...(A);
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, values, nullptr, &data);
    if (count < sizeof...(A)) {
      napi_throw_error(env, "KERNEL_ARGUMENTS", "A kernel was called with too few arguments");
      return nullptr;
    }
    return run(env, reinterpret_cast<R (*)(A...)>(data), values, std::index_sequence_for<A...>{});
  }
};

std::string camel_case(const char* name) {
  std::string result;
  for (const char* c = name; *c; ++c) {
    if (*c == '_' && c[1]) {
      ++c;
      result += (*c >= 'a' && *c <= 'z') ? static_cast<char>(*c - 32) : *c;
    } else {
      result += *c;
    }
  }
  return result;
}

void define(napi_env env, napi_value object, const char* name, napi_callback callback, void* data) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function);
  napi_set_named_property(env, object, name, function);
}

// Memory. `allocate` gives 0 when the system has no memory left.
double allocate(double bytes) {
  return static_cast<double>(reinterpret_cast<uintptr_t>(cloze::memory_allocate(static_cast<size_t>(bytes))));
}
void release(void* block) { cloze::memory_free(block); }
void trim() { cloze::memory_trim(); }
double cached() { return static_cast<double>(cloze::memory_cached()); }
double address_of(const void* array) { return static_cast<double>(reinterpret_cast<uintptr_t>(array)); }
void copy_bytes(const void* from, void* to, int64_t bytes) { std::memcpy(to, from, static_cast<size_t>(bytes)); }
void move_bytes(const void* from, void* to, int64_t bytes) { std::memmove(to, from, static_cast<size_t>(bytes)); }
int32_t threads() { return cloze::thread_count(); }
void set_threads(int32_t count) { cloze::set_thread_count(count); }

// load(isa) -> { kernels, places (in kernels.def), table } of that build, or undefined where the processor cannot run it.
napi_value load(napi_env env, napi_callback_info info) {
  napi_value value;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  char wanted[16] = "";
  size_t length = 0;
  if (count == 1) napi_get_value_string_utf8(env, value, wanted, sizeof wanted, &length);
  const std::string best = cloze::best_isa();
  const std::string isa = length ? wanted : best;
  void* const* table = nullptr;
  if (isa == "baseline") table = cloze_table_baseline();
#if defined(__x86_64__)
  if (isa == "avx2" && best != "baseline") table = cloze_table_avx2();
  if (isa == "avx512" && (best == "avx512" || best == "amx")) table = cloze_table_avx512();
  if (isa == "amx" && best == "amx") table = cloze_table_amx();
#endif
  if (!table) return nullptr;
  napi_value kernels;
  napi_value places;
  napi_create_object(env, &kernels);
  napi_create_object(env, &places);
  uint32_t index = 0;
  const auto add = [&](const char* name, napi_callback callback) {
    const std::string camel = camel_case(name);
    napi_value place;
    napi_create_uint32(env, index, &place);
    napi_set_named_property(env, places, camel.c_str(), place);
    define(env, kernels, camel.c_str(), callback, table[index++]);
  };
#define KERNEL(name) add(#name, Wrap<decltype(&cloze::baseline::name)>::call);
#include "kernels/kernels.def"
#undef KERNEL
  napi_value result;
  napi_value address;
  napi_create_object(env, &result);
  napi_create_double(env, static_cast<double>(reinterpret_cast<uintptr_t>(table)), &address);
  napi_set_named_property(env, result, "kernels", kernels);
  napi_set_named_property(env, result, "places", places);
  napi_set_named_property(env, result, "table", address);
  return result;
}

// A plan that runs on a thread of its own while JavaScript goes on. The caller keeps code and variables alive.
struct PlanRun {
  void* const* table;
  const double* code;
  int64_t length;
  const double* variables;
  int32_t threads;
  napi_async_work work;
  napi_deferred deferred;
};

// runPlan(table, code, length, variables, threads): returns when all is done. threads: at most so many; 0: all.
void run_plan_now(void* const* table, const double* code, int64_t length, const double* variables, int32_t threads) {
  cloze::limit_threads(threads);
  cloze::run_plan(table, code, length, variables);
  cloze::limit_threads(0);
}

// runPlanAsync(table, code, length, variables, threads) -> a promise.
napi_value run_plan_async(napi_env env, napi_callback_info info) {
  napi_value values[5];
  size_t count = 5;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  if (count < 5) {
    napi_throw_error(env, "KERNEL_ARGUMENTS", "runPlanAsync takes five arguments");
    return nullptr;
  }
  auto* run = new PlanRun{argument<void* const*>(env, values[0]), argument<const double*>(env, values[1]),
                          argument<int64_t>(env, values[2]), argument<const double*>(env, values[3]),
                          argument<int32_t>(env, values[4]), nullptr, nullptr};
  napi_value promise;
  napi_value name;
  napi_create_promise(env, &run->deferred, &promise);
  napi_create_string_utf8(env, "cloze:plan", NAPI_AUTO_LENGTH, &name);
  const auto execute = [](napi_env, void* data) {
    const auto* job = static_cast<PlanRun*>(data);
    run_plan_now(job->table, job->code, job->length, job->variables, job->threads);
  };
  const auto complete = [](napi_env e, napi_status, void* data) {
    auto* job = static_cast<PlanRun*>(data);
    napi_value nothing;
    napi_get_undefined(e, &nothing);
    napi_resolve_deferred(e, job->deferred, nothing);
    napi_delete_async_work(e, job->work);
    delete job;
  };
  napi_create_async_work(env, nullptr, name, execute, complete, run, &run->work);
  napi_queue_async_work(env, run->work);
  return promise;
}

napi_value initialise(napi_env env, napi_value exports) {
  napi_value isa;
  napi_create_string_utf8(env, cloze::best_isa(), NAPI_AUTO_LENGTH, &isa);
  napi_set_named_property(env, exports, "bestIsa", isa);
  define(env, exports, "load", load, nullptr);
#define FUNCTION(name, function) \
  define(env, exports, name, Wrap<decltype(&function)>::call, reinterpret_cast<void*>(&function))
  define(env, exports, "runPlanAsync", run_plan_async, nullptr);
  FUNCTION("runPlan", run_plan_now);
  FUNCTION("allocate", allocate);
  FUNCTION("free", release);
  FUNCTION("trim", trim);
  FUNCTION("cachedBytes", cached);
  FUNCTION("addressOf", address_of);
  FUNCTION("copyBytes", copy_bytes);
  FUNCTION("moveBytes", move_bytes);
  FUNCTION("threads", threads);
  FUNCTION("setThreads", set_threads);
#undef FUNCTION
  return exports;
}

}  // namespace

NAPI_MODULE(cloze, initialise)
