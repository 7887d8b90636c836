#include "striate/data/tower_batch.h"

#include <gtest/gtest.h>

#include <limits>

#include "striate/model/architectures.h"
#include "tests/support/tiny_model.h"

namespace striate {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr std::int64_t kPlenty = std::numeric_limits<std::int64_t>::max();

VisionConfig tower_of(const char* architecture) {
  return find_architecture(architecture).config.vision.value();
}

TEST(TowerBatch, OnTheCpuItIsDecidedByRowsAlone) {
  EXPECT_EQ(tower_batch_on_cpu(tower_of("llava-1.5-7b")), 1);  // 576 rows a picture
  EXPECT_EQ(tower_batch_on_cpu(test::tiny_config().vision.value()), 16);
}

TEST(TowerBatch, OnAGpuItTakesASmallPartOfItsMemory) {
  for (const char* architecture : {"llava-1.5-7b", "bunny-llama3-8b"}) {
    const VisionConfig tower = tower_of(architecture);
    std::int64_t before = 16;
    for (const std::int64_t memory : {kPlenty, 80 * kGiB, 24 * kGiB, 8 * kGiB, 4 * kGiB, kGiB, kGiB / 4}) {
      const std::int64_t batch = tower_batch_on_gpu(tower, Compute::kBFloat16, memory);
      EXPECT_LE(batch, before) << architecture << memory;
      EXPECT_TRUE(batch == 1 || tower_bytes(tower, Compute::kBFloat16, batch) <= memory / 50) << memory;
      EXPECT_LE(tower_batch_on_gpu(tower, Compute::kFloat32, memory), batch) << "fp32 takes twice as much";
      before = batch;
    }
    EXPECT_EQ(before, 1);
    // Cards that training is for keep their tower busy.
    for (const std::int64_t memory : {16 * kGiB, 24 * kGiB, 80 * kGiB}) {
      EXPECT_EQ(tower_batch_on_gpu(tower, Compute::kBFloat16, memory), 16) << architecture << memory;
    }
  }
}

}  // namespace
}  // namespace striate
