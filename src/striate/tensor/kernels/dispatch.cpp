#include "striate/tensor/kernels/dispatch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

std::string lower_case_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// Whether oneDNN, which does LibTorch's bf16 products, may use AVX512-BF16 or AMX (oneDNN, "CPU dispatcher control").
bool onednn_allows(CpuIsa isa) {
  const std::string limit = lower_case_variable("ONEDNN_MAX_CPU_ISA");
  if (limit.empty() || limit == "default") return true;
  if (limit.find("amx") != std::string::npos) return true;
  return isa == CpuIsa::kAvx512Bf16 && (limit == "avx512_core_bf16" || limit == "avx512_core_fp16");
}

// Whether LibTorch's own loops, and with them ours, may go as far as `isa`.
bool allowed(CpuIsa isa) {
  const std::string limit = lower_case_variable("ATEN_CPU_CAPABILITY");
  if (limit == "default") return isa == CpuIsa::kPortable;
  if (limit == "avx2") return isa == CpuIsa::kPortable || isa == CpuIsa::kAvx2;
  const bool multiplies_bf16 = isa == CpuIsa::kAvx512Bf16 || isa == CpuIsa::kAmx;
  return !multiplies_bf16 || onednn_allows(isa);
}

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

bool has_amx_instructions() {
  constexpr unsigned kAmxBf16 = 1U << 22;
  constexpr unsigned kAmxTile = 1U << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxBf16) != 0 && (d & kAmxTile) != 0;
}

// Linux saves tiles only for processes that ask for it (Documentation/arch/x86/xstate.rst); threads inherit it.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted;
}

bool has_avx512_bf16() {
  return has_avx512() && __builtin_cpu_supports("avx512bf16");
}

bool can_run_amx() {
  return has_avx512_bf16() && has_amx_instructions() && may_use_tiles();
}
#else
bool has_avx512_bf16() {
  return false;
}

bool has_amx_instructions() {
  return false;
}
#endif

}  // namespace

void attention_room_too_small(std::int64_t bytes_wanted, std::int64_t bytes_there) {
  throw internal_error(cat("attention wants ", bytes_wanted, " bytes more of its room, which has ", bytes_there));
}

std::vector<const CpuKernels*> runnable_cpu_kernels() {
  std::vector<const CpuKernels*> tables = {&portable_kernels()};
#if defined(__x86_64__)
  if (has_avx2()) tables.push_back(&avx2_kernels());
  if (has_avx512()) tables.push_back(&avx512_kernels());
  if (has_avx512_bf16()) tables.push_back(&avx512_bf16_kernels());
  if (can_run_amx()) tables.push_back(&amx_kernels());
#endif
  return tables;
}

const CpuKernels& cpu_kernels() {
  static const CpuKernels& best = [&]() -> const CpuKernels& {
    const CpuKernels* chosen = &portable_kernels();
    for (const CpuKernels* table : runnable_cpu_kernels()) {
      if (allowed(table->isa)) chosen = table;
    }
    return *chosen;
  }();
  return best;
}

bool has_amx() {
  return has_amx_instructions() && allowed(CpuIsa::kAmx);
}

bool has_fast_bf16() {
  static const bool fast = [] { return has_amx() || (has_avx512_bf16() && allowed(CpuIsa::kAvx512Bf16)); }();
  return fast;
}

}  // namespace striate
