#include "striate/files/q8_0.h"

#include <ATen/ops/empty.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "striate/base/error.h"
#include "striate/files/gguf_format.h"
#include "striate/tensor/parallel.h"

namespace striate {
namespace {

constexpr std::int64_t kGrain = 1024;  // blocks
constexpr float kLargest = 127.0F;

void quantize_block(const float* values, std::byte* block) {
  float largest = 0.0F;
  for (std::int64_t i = 0; i < kQ8Block; ++i) largest = std::max(largest, std::fabs(values[i]));
  const float scale = largest / kLargest;
  const float inverse = scale != 0.0F ? 1.0F / scale : 0.0F;
  const c10::Half half(scale);
  std::memcpy(block, &half.x, sizeof half.x);
  for (std::int64_t i = 0; i < kQ8Block; ++i) {
    block[sizeof half.x + static_cast<std::size_t>(i)] =
        static_cast<std::byte>(static_cast<std::int8_t>(std::round(values[i] * inverse)));
  }
}

void dequantize_block(const std::byte* block, float* values) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, block, sizeof bits);
  const float scale = c10::Half(bits, c10::Half::from_bits());
  for (std::int64_t i = 0; i < kQ8Block; ++i) {
    const auto quant = static_cast<std::int8_t>(block[sizeof bits + static_cast<std::size_t>(i)]);
    values[i] = static_cast<float>(quant) * scale;
  }
}

}  // namespace

std::vector<std::byte> quantize_q8_0(std::span<const float> values) {
  const auto blocks = static_cast<std::int64_t>(values.size()) / kQ8Block;
  if (blocks * kQ8Block != static_cast<std::int64_t>(values.size())) {
    throw internal_error("q8_0 takes multiples of 32 numbers");
  }
  std::vector<std::byte> out(static_cast<std::size_t>(blocks) * kQ8BlockBytes);
  parallel_ranges(blocks, kGrain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      quantize_block(values.data() + i * kQ8Block, out.data() + static_cast<std::uint64_t>(i) * kQ8BlockBytes);
    }
  });
  return out;
}

at::Tensor dequantize_q8_0(std::span<const std::byte> blocks, std::span<const std::int64_t> shape) {
  const auto bytes = gguf_tensor_bytes(GgufType::kQ8_0, shape);
  if (bytes != blocks.size()) throw internal_error("q8_0 blocks and shape differ");
  at::Tensor out = at::empty(at::IntArrayRef(shape.data(), shape.size()), at::TensorOptions(at::kFloat));
  auto* values = out.mutable_data_ptr<float>();
  parallel_ranges(out.numel() / kQ8Block, kGrain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      dequantize_block(blocks.data() + static_cast<std::uint64_t>(i) * kQ8BlockBytes, values + i * kQ8Block);
    }
  });
  return out;
}

}  // namespace striate
