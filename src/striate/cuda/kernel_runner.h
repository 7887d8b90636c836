// What launches a kernel: a GPU, or the emulator of the tests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace striate::cuda {

// The value of one parameter of a kernel.
struct Argument {
  const void* value;
  std::size_t size;
};

// Of every block: kThreads of kernels/device.cuh.
inline constexpr int kBlockThreads = 256;

struct Launch {
  std::string_view source;  // kernels/SOURCE.cu
  std::string kernel;       // its name there
  std::int64_t blocks;
  std::span<const Argument> arguments;
};

class KernelRunner {
 public:
  virtual ~KernelRunner() = default;
  // Starts the kernel; it runs behind what the device was given before. Throws ResourceError where that fails.
  virtual void launch(const Launch& launch) = 0;
};

// No blocks: nothing to do.
template <typename... Args>
void run_kernel(KernelRunner& runner, std::string_view source, std::string kernel, std::int64_t blocks,
                const Args&... args) {
  if (blocks == 0) return;
  const std::array<Argument, sizeof...(Args)> arguments = {Argument{&args, sizeof(Args)}...};
  runner.launch({source, std::move(kernel), blocks, arguments});
}

}  // namespace striate::cuda
