#include "striate/base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace striate {
namespace {

TEST(RandomStream, IsTheSameOnEveryMachine) {
  // Worked out apart, in Python.
  EXPECT_EQ(RandomStream(42, "shuffle").bits(0), 0xc928518d4c4e2f4dULL);
  EXPECT_EQ(RandomStream(42, "shuffle").bits(1), 0xba0e30234e246dbaULL);
}

TEST(RandomStream, SeedPurposeAndIndexEachChangeTheDraw) {
  const std::set<std::uint64_t> draws{RandomStream(1, "a").bits(0),  RandomStream(2, "a").bits(0),
                                      RandomStream(1, "b").bits(0),  RandomStream(1, "a").bits(1),
                                      RandomStream(1, "ab").bits(0), RandomStream(1, "ba").bits(0)};
  EXPECT_EQ(draws.size(), 6U);
}

TEST(RandomStream, UniformDrawsFillTheUnitInterval) {
  const RandomStream stream(7, "test");
  constexpr int kDraws = 100'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = stream.uniform(static_cast<std::uint64_t>(i));
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
    squares += value * value;
  }
  const double mean = sum / kDraws;
  EXPECT_NEAR(mean, 0.5, 0.005);  // five standard errors
  EXPECT_NEAR(squares / kDraws - mean * mean, 1.0 / 12, 0.002);
}

}  // namespace
}  // namespace striate
