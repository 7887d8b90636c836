// kernel_table: what every kernel takes of a GPU, as a table for docs/gpu.md (scripts/kernel-table.sh).
#include <exception>
#include <iostream>
#include <map>
#include <string>

#include "tests/cuda/cubin_usage.h"
#include "tests/cuda/nvrtc_here.h"

namespace {

using striate::test::KernelUsage;

constexpr int kArchitectures[] = {80, 90, 100};

// "32 / 32 / 40": of each architecture.
template <typename Number>
std::string by_architecture(const std::map<int, KernelUsage>& usage, Number number) {
  std::string text;
  for (const auto& [architecture, of_kernel] : usage) {
    text += (text.empty() ? "" : " / ") + std::to_string(number(of_kernel));
  }
  return text;
}

// The system keeps a kilobyte of each block's shared memory from sm_90 on.
std::uint64_t own_shared_bytes(const KernelUsage& usage) {
  constexpr std::uint64_t kReserved = 1024;
  return usage.shared_bytes >= kReserved ? usage.shared_bytes - kReserved : usage.shared_bytes;
}

}  // namespace

int main() try {
  const auto nvrtc = striate::test::nvrtc_here();
  if (!nvrtc) {
    std::cerr << "no NVRTC here: scripts/install-nvrtc.sh puts one in .deps/nvrtc\n";
    return 77;
  }
  std::map<std::string, std::map<int, KernelUsage>> kernels;
  for (const auto& source : striate::cuda::kernel_sources()) {
    for (const int architecture : kArchitectures) {
      for (const auto& [name, usage] : striate::test::cubin_usage(nvrtc->compile(source, architecture))) {
        kernels[std::string(source.name) + " | `" + name + "`"][architecture] = usage;
      }
    }
  }
  std::cout
      << "| source | kernel | registers (sm_80 / 90 / 100) | spilled bytes | shared bytes |\n|---|---|---|---|---|\n";
  for (const auto& [name, usage] : kernels) {
    std::cout << "| " << name << " | " << by_architecture(usage, [](const KernelUsage& u) { return u.registers; })
              << " | " << by_architecture(usage, [](const KernelUsage& u) { return u.stack; }) << " | "
              << by_architecture(usage, own_shared_bytes) << " |\n";
  }
  std::cout << "\n" << nvrtc->version() << ", options";
  for (const std::string& option : striate::cuda::compile_options()) std::cout << " `" << option << "`";
  std::cout << ", blocks of 256 threads.\n";
  return 0;
} catch (const std::exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
