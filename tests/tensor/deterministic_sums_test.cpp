#include "striate/tensor/deterministic_sums.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

namespace striate::test {
namespace {

bool ordered() {
  return at::globalContext().deterministicAlgorithms();
}

TEST(DeterministicSums, AreMadeWhileSomeoneWantsThemHoweverTheTimesOverlap) {
  const bool filled = at::globalContext().deterministicFillUninitializedMemory();
  ASSERT_FALSE(ordered());
  std::optional<DeterministicSums> first(std::in_place), second(std::in_place);
  EXPECT_TRUE(ordered());
  first.reset();
  EXPECT_TRUE(ordered()) << "the second one still wants them";
  EXPECT_FALSE(at::globalContext().deterministicFillUninitializedMemory());
  second.reset();
  EXPECT_FALSE(ordered()) << "what the second one found was the first one's";
  EXPECT_EQ(at::globalContext().deterministicFillUninitializedMemory(), filled);
}

TEST(DeterministicSums, ThreadsLeaveTheSwitchAsItWas) {
  std::atomic<int> missed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&missed] {
      for (int turn = 0; turn < 2000; ++turn) {
        const DeterministicSums sums;
        if (!ordered()) ++missed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(missed, 0);
  EXPECT_FALSE(ordered());
}

TEST(DeterministicSums, ThatAreNotWantedChangeNothing) {
  const DeterministicSums none(false);
  EXPECT_FALSE(ordered());
  const DeterministicSums wanted;
  const DeterministicSums again(false);
  EXPECT_TRUE(ordered());
}

}  // namespace
}  // namespace striate::test
