#include "tests/support/emulator/emulated_kernels.h"

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <stdexcept>
#include <utility>

#include "tests/support/emulator/cuda_words.h"

// The sources as they are, each in a namespace of its own.
namespace striate::emulated {

#include "striate/cuda/kernels/device.cuh"

namespace activation {
#include "striate/cuda/kernels/activation.cu"
}
namespace cross_entropy {
#include "striate/cuda/kernels/cross_entropy.cu"
}
namespace dropout {
#include "striate/cuda/kernels/dropout.cu"
}
namespace norm {
#include "striate/cuda/kernels/norm.cu"
}
namespace optimizer {
#include "striate/cuda/kernels/optimizer.cu"
}
namespace quantized {
#include "striate/cuda/kernels/quantized.cu"
}
namespace rotary {
#include "striate/cuda/kernels/rotary.cu"
}

namespace {

using Arguments = std::span<const cuda::Argument>;

struct Kernel {
  std::vector<std::size_t> sizes;  // of its parameters
  std::function<void(Arguments)> call;
};

template <typename... Parameters, std::size_t... I>
void call_with(void (*function)(Parameters...), Arguments arguments, std::index_sequence<I...>) {
  function(*static_cast<const Parameters*>(arguments[I].value)...);
}

template <typename... Parameters>
Kernel kernel_of(void (*function)(Parameters...)) {
  return {{sizeof(Parameters)...}, [function](Arguments arguments) {
            call_with(function, arguments, std::index_sequence_for<Parameters...>());
          }};
}

const std::map<std::string, Kernel>& kernels() {
  static const std::map<std::string, Kernel> all = {
      {"activation/quick_gelu_bf16", kernel_of(&activation::quick_gelu_bf16)},
      {"activation/quick_gelu_f32", kernel_of(&activation::quick_gelu_f32)},
      {"activation/silu_multiply_backward_bf16", kernel_of(&activation::silu_multiply_backward_bf16)},
      {"activation/silu_multiply_backward_f32", kernel_of(&activation::silu_multiply_backward_f32)},
      {"activation/silu_multiply_bf16", kernel_of(&activation::silu_multiply_bf16)},
      {"activation/silu_multiply_f32", kernel_of(&activation::silu_multiply_f32)},
      {"cross_entropy/cross_entropy_bf16", kernel_of(&cross_entropy::cross_entropy_bf16)},
      {"cross_entropy/cross_entropy_f32", kernel_of(&cross_entropy::cross_entropy_f32)},
      {"dropout/add_dropout_bf16", kernel_of(&dropout::add_dropout_bf16)},
      {"dropout/add_dropout_f32", kernel_of(&dropout::add_dropout_f32)},
      {"dropout/dropout_bf16", kernel_of(&dropout::dropout_bf16)},
      {"dropout/dropout_f32", kernel_of(&dropout::dropout_f32)},
      {"norm/add_rms_norm_bf16", kernel_of(&norm::add_rms_norm_bf16)},
      {"norm/add_rms_norm_f32", kernel_of(&norm::add_rms_norm_f32)},
      {"norm/rms_norm_bf16", kernel_of(&norm::rms_norm_bf16)},
      {"norm/rms_norm_f32", kernel_of(&norm::rms_norm_f32)},
      {"norm/rms_norm_gradient_bf16", kernel_of(&norm::rms_norm_gradient_bf16)},
      {"norm/rms_norm_gradient_f32", kernel_of(&norm::rms_norm_gradient_f32)},
      {"norm/rms_norm_weight_sums_bf16", kernel_of(&norm::rms_norm_weight_sums_bf16)},
      {"norm/rms_norm_weight_sums_f32", kernel_of(&norm::rms_norm_weight_sums_f32)},
      {"norm/rms_norm_weight_total", kernel_of(&norm::rms_norm_weight_total)},
      {"optimizer/adamw", kernel_of(&optimizer::adamw)},
      {"optimizer/judge_gradients", kernel_of(&optimizer::judge_gradients)},
      {"optimizer/square_sums", kernel_of(&optimizer::square_sums)},
      {"quantized/dequantize_fp8_bf16", kernel_of(&quantized::dequantize_fp8_bf16)},
      {"quantized/dequantize_fp8_f32", kernel_of(&quantized::dequantize_fp8_f32)},
      {"quantized/dequantize_int8_bf16", kernel_of(&quantized::dequantize_int8_bf16)},
      {"quantized/dequantize_int8_f32", kernel_of(&quantized::dequantize_int8_f32)},
      {"quantized/dequantize_nf4_bf16", kernel_of(&quantized::dequantize_nf4_bf16)},
      {"quantized/dequantize_nf4_f32", kernel_of(&quantized::dequantize_nf4_f32)},
      {"quantized/quantize_rows_bf16", kernel_of(&quantized::quantize_rows_bf16)},
      {"quantized/quantize_rows_f32", kernel_of(&quantized::quantize_rows_f32)},
      {"rotary/rotate_bf16", kernel_of(&rotary::rotate_bf16)},
      {"rotary/rotate_f32", kernel_of(&rotary::rotate_f32)},
  };
  return all;
}

}  // namespace

std::vector<std::string> emulated_kernel_names() {
  std::vector<std::string> names;
  for (const auto& [name, kernel] : kernels()) names.push_back(name);
  return names;
}

void EmulatedKernels::launch(const cuda::Launch& launch) {
  const std::string name = std::string(launch.source) + "/" + launch.kernel;
  const auto found = kernels().find(name);
  if (found == kernels().end()) throw std::logic_error("no kernel " + name);
  const Kernel& kernel = found->second;
  const bool fits =
      std::equal(kernel.sizes.begin(), kernel.sizes.end(), launch.arguments.begin(), launch.arguments.end(),
                 [](std::size_t size, const cuda::Argument& given) { return size == given.size; });
  if (!fits) throw std::logic_error(name + ": arguments do not fit its parameters");
  launched_.push_back(name);
  Block block(cuda::kBlockThreads, order_);
  for (std::int64_t i = 0; i < launch.blocks; ++i) {
    const std::int64_t index = order_ == Order::kAscending ? i : launch.blocks - 1 - i;
    block.run(static_cast<unsigned>(index), [&] { kernel.call(launch.arguments); });
  }
}

}  // namespace striate::emulated
