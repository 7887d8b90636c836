#include "striate/base/log.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace striate {
namespace {

// What a fresh process with $STRIATE_LOG = `level` writes to standard error, as a regular expression.
void expect_logged(const char* level, const std::string& pattern) {
  const auto speak = [level] {
    ::setenv("STRIATE_LOG", level, 1);
    log_info("reads {braces} and %v as they are");
    log_warn("odd");
    std::exit(0);
  };
  EXPECT_EXIT(speak(), testing::ExitedWithCode(0), pattern);
}

TEST(LogDeathTest, NotesAreLinesOnStandardErrorAsTheyWereGiven) {
  expect_logged("info", "^reads \\{braces\\} and %v as they are\nwarning: odd\n$");
}

TEST(LogDeathTest, FewerAreShownOnRequest) {
  expect_logged("warn", "^warning: odd\n$");
  expect_logged("off", "^$");
}

}  // namespace
}  // namespace striate
