#include "striate/data/tower_batch.h"

#include <algorithm>

namespace striate {
namespace {

constexpr std::int64_t kMostPictures = 16;
// Rows that keep the tower's products busy.
constexpr std::int64_t kRowsOnCpu = 1024;
constexpr std::int64_t kRowsOnGpu = 16384;
constexpr std::int64_t kShareOfGpu = 50;

}  // namespace

std::int64_t tower_batch_on_cpu(const VisionConfig& tower) {
  std::int64_t batch = 1;
  while (batch < kMostPictures && 2 * batch * tower.tokens() <= kRowsOnCpu) batch *= 2;
  return batch;
}

std::int64_t tower_batch_on_gpu(const VisionConfig& tower, Compute compute, std::int64_t memory) {
  const auto suits = [&](std::int64_t pictures) {
    return pictures <= kMostPictures && pictures * tower.tokens() <= kRowsOnGpu &&
           tower_bytes(tower, compute, pictures) <= memory / kShareOfGpu;
  };
  std::int64_t batch = 1;
  while (suits(2 * batch)) batch *= 2;
  return batch;
}

std::int64_t tower_bytes(const VisionConfig& tower, Compute compute, std::int64_t pictures) {
  const std::int64_t element = compute == Compute::kBFloat16 ? 2 : 4;
  const std::int64_t rows = pictures * (tower.grid() * tower.grid() + 1);
  const std::int64_t pixels = pictures * tower.channels * tower.image_size * tower.image_size;
  // A norm's rows in fp32, or attention's queries, keys and values; the MLP's inner rows before and after.
  const std::int64_t width = std::max(6 * tower.hidden_size, 3 * tower.hidden_size + 2 * tower.mlp_size);
  // Pixels come in fp32.
  return std::max(pixels * (4 + element), rows * width * element);
}

}  // namespace striate
