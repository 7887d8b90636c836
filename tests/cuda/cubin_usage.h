// What a kernel takes of a GPU, read out of its machine code.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace striate::test {

struct KernelUsage {
  std::uint32_t registers = 0;     // of each thread
  std::uint32_t stack = 0;         // bytes of each thread: what was spilled from registers, and local arrays
  std::uint64_t shared_bytes = 0;  // of each block, with what the system keeps for itself (1024 from sm_90 on)
};

// By kernel. Throws std::runtime_error for what is no cubin.
std::map<std::string, KernelUsage> cubin_usage(std::string_view cubin);

}  // namespace striate::test
