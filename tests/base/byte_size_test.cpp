#include "striate/base/byte_size.h"

#include <gtest/gtest.h>

#include "striate/base/strings.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

TEST(ParseBytes, ReadsUnitsAndRefusesNonsense) {
  EXPECT_EQ(parse_bytes("5GB", "--x"), 5'000'000'000U);
  EXPECT_EQ(parse_bytes("2 GiB", "--x"), 2'147'483'648U);
  EXPECT_EQ(parse_bytes("1.5e3", "--x"), 1500U);
  for (const char* bad : {"", "GB", "-1GB", "0", "5XB", "nan", "inf", "1e40", "5GB!"}) {
    EXPECT_ERROR(parse_bytes(bad, "--x"), cat("--x ", bad, " is not a size")) << bad;
  }
}

}  // namespace
}  // namespace striate
