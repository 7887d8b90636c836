// Figures as the commands show them to people.
#include "apps/striate/fields.h"

#include <gtest/gtest.h>

namespace striate::app {
namespace {

TEST(RateText, HasThreeDigitsAndNoExponent) {
  EXPECT_EQ(rate_text(0.5), "0.5/s");
  EXPECT_EQ(rate_text(12.34), "12.3/s");
  EXPECT_EQ(rate_text(99.94), "99.9/s");
  EXPECT_EQ(rate_text(99.96), "100/s");
  EXPECT_EQ(rate_text(243.2), "243/s");
  EXPECT_EQ(rate_text(1234.0), "1.23 k/s");
  EXPECT_EQ(rate_text(56'789.0), "56.8 k/s");
}

}  // namespace
}  // namespace striate::app
