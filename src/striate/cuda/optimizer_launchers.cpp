#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>

#include "striate/cuda/launch_shape.h"
#include "striate/cuda/launchers.h"

namespace striate::cuda {
namespace {

constexpr std::string_view kSource = "optimizer";

// As kernels/optimizer.cu declares it.
constexpr std::size_t kMostRanges = 256;
constexpr std::size_t kMostKinds = 8;
struct AdamRanges {
  std::array<std::int64_t, kMostRanges> end{};
  std::array<unsigned char, kMostRanges> kind{};
  std::array<float, kMostKinds> rate{};
  std::array<float, kMostKinds> decay{};
};

}  // namespace

at::Tensor square_sums(KernelRunner& runner, const at::Tensor& values) {
  constexpr std::int64_t kChunk = 1 << 16;  // of each block, as on the CPU
  const std::int64_t chunks = (values.numel() + kChunk - 1) / kChunk;
  at::Tensor sums = at::empty({chunks}, values.options().dtype(at::kDouble));
  run_kernel(runner, kSource, "square_sums", chunks, values.const_data_ptr<float>(), sums.mutable_data_ptr<double>(),
             values.numel(), kChunk);
  return sums;
}

void judge_gradients(KernelRunner& runner, const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses,
                     double max_norm, double beta1, double beta2) {
  const at::Tensor dense = losses.contiguous();
  run_kernel(runner, kSource, "judge_gradients", 1, step.mutable_data_ptr<double>(), sums.const_data_ptr<double>(),
             sums.numel(), dense.const_data_ptr<double>(), dense.numel(), max_norm, beta1, beta2);
}

void adamw_in_place(KernelRunner& runner, const AdamWTensors& tensors, const AdamWNumbers& numbers) {
  constexpr std::int64_t kChunk = 4096;  // of each block
  if (numbers.rates.size() > kMostKinds) throw internal_error("more kinds of parameters than an update tells apart");
  AdamRanges ranges;
  for (std::size_t kind = 0; kind < numbers.rates.size(); ++kind) {
    ranges.rate[kind] = static_cast<float>(numbers.rates[kind]);
    ranges.decay[kind] = static_cast<float>(numbers.decays[kind]);
  }
  void* rounded = tensors.rounded.numel() > 0 ? tensors.rounded.mutable_data_ptr() : nullptr;
  std::int64_t begin = 0;
  for (std::size_t first = 0; first < numbers.ends.size(); first += kMostRanges) {
    const std::size_t count = std::min(kMostRanges, numbers.ends.size() - first);
    for (std::size_t r = 0; r < count; ++r) {
      ranges.end[r] = numbers.ends[first + r];
      ranges.kind[r] = static_cast<unsigned char>(numbers.kinds[first + r]);
    }
    const std::int64_t end = ranges.end[count - 1];
    run_kernel(runner, kSource, "adamw", (end - begin + kChunk - 1) / kChunk, tensors.values.mutable_data_ptr<float>(),
               tensors.first.mutable_data_ptr<float>(), tensors.second.mutable_data_ptr<float>(), rounded,
               tensors.gradients.const_data_ptr<float>(), tensors.step.const_data_ptr<double>(), begin, end, kChunk,
               static_cast<float>(numbers.beta2), static_cast<float>(1.0 - numbers.beta1),
               static_cast<float>(1.0 - numbers.beta2), static_cast<float>(numbers.eps), ranges);
    begin = end;
  }
}

}  // namespace striate::cuda
