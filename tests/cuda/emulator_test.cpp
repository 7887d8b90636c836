// The emulator itself: what it computes, and that it notices what a GPU would do wrong.
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "tests/support/emulator/block.h"
#include "tests/support/emulator/cuda_words.h"

namespace striate::emulated {
namespace {

// Each thread's number comes to its neighbour on the left through shared memory, with a barrier or without.
std::vector<float> moved(Order order, bool barrier) {
  std::vector<float> result(64);
  Block(64, order).run(0, [&] {
    STRIATE_SHARED(float, shared, 64);
    shared[threadIdx.x] = static_cast<float>(threadIdx.x);
    if (barrier) __syncthreads();
    result[threadIdx.x] = shared[(threadIdx.x + 1) % 64];
  });
  return result;
}

TEST(Emulator, ABarrierMakesTheOrderOfThreadsNoMatter) {
  for (const Order order : kOrders) {
    const std::vector<float> result = moved(order, true);
    for (int i = 0; i < 64; ++i) EXPECT_EQ(result[static_cast<std::size_t>(i)], static_cast<float>((i + 1) % 64));
  }
}

TEST(Emulator, AMissingBarrierShowsAsNotANumber) {
  for (const Order order : kOrders) {
    int missing = 0;
    for (const float value : moved(order, false)) missing += std::isnan(value) ? 1 : 0;
    EXPECT_GT(missing, 0);
  }
}

// Shared memory that is written again before all have read it: the warp that is ahead shows it.
TEST(Emulator, AMissingBarrierBeforeTheNextWriteShowsInAnotherOrder) {
  const auto last_seen = [](Order order, bool barrier) {
    float seen = 0;
    Block(64, order).run(0, [&] {
      STRIATE_SHARED(float, shared, 2);
      for (int round = 0; round < 2; ++round) {
        if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = static_cast<float>(round);
        __syncthreads();
        const float other = shared[threadIdx.x < 32 ? 1 : 0];
        if (round == 0 && threadIdx.x == 0) seen = other;
        __shfl_xor_sync(~0U, other, 1);
        if (barrier) __syncthreads();
      }
    });
    return seen;
  };
  for (const Order order : kOrders) EXPECT_EQ(last_seen(order, true), 0.0F);
  EXPECT_EQ(last_seen(Order::kWarpByWarp, false), 1.0F);
}

TEST(Emulator, ShufflesSumAWarp) {
  for (const Order order : kOrders) {
    std::vector<double> result(96);
    Block(96, order).run(0, [&] {
      double x = threadIdx.x;
      for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xFFFFFFFFU, x, distance);
      result[threadIdx.x] = x;
    });
    for (int i = 0; i < 96; ++i) EXPECT_EQ(result[static_cast<std::size_t>(i)], 32 * 15.5 + 1024.0 * (i / 32));
  }
}

TEST(Emulator, SharedMemoryIsNewInEveryBlock) {
  Block block(32, Order::kAscending);
  for (unsigned index = 0; index < 2; ++index) {
    bool fresh = true;
    block.run(index, [&] {
      STRIATE_SHARED(float, shared, 32);
      fresh = fresh && std::isnan(shared[threadIdx.x]);
      shared[threadIdx.x] = 1.0F;
      EXPECT_EQ(static_cast<unsigned>(blockIdx.x), index);
    });
    EXPECT_TRUE(fresh);
  }
}

TEST(Emulator, ThreadsThatWaitForOthersInVainAreReported) {
  EXPECT_THROW(Block(64, Order::kAscending)
                   .run(0,
                        [] {
                          if (threadIdx.x < 40) __syncthreads();
                        }),
               std::logic_error);
  EXPECT_THROW(Block(64, Order::kAscending)
                   .run(0,
                        [] {
                          if (threadIdx.x != 7) __shfl_xor_sync(~0U, 1.0F, 1);
                        }),
               std::logic_error);
  EXPECT_THROW(Block(64, Order::kAscending)
                   .run(0,
                        [] {
                          if (threadIdx.x % 2 == 0) {
                            __syncthreads();
                          } else {
                            __shfl_xor_sync(~0U, 1.0F, 1);
                          }
                        }),
               std::logic_error);
  // One warp of a block may shuffle by itself.
  EXPECT_NO_THROW(Block(64, Order::kAscending).run(0, [] {
    if (threadIdx.x < 32) __shfl_xor_sync(~0U, 1.0F, 1);
  }));
}

}  // namespace
}  // namespace striate::emulated
