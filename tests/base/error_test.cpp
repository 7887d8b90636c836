#include "striate/base/error.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

TEST(Error, WhatTheUserGaveExitsWithTwoAndWhatFailedWhileRunningWithOne) {
  EXPECT_EQ(invalid_input("m").exit_code(), 2);
  EXPECT_EQ(corrupt_data("m").exit_code(), 2);
  EXPECT_EQ(unsupported("m").exit_code(), 2);
  EXPECT_EQ(resource_error("m").exit_code(), 1);
  EXPECT_EQ(internal_error("m").exit_code(), 1);
}

TEST(Error, KeepsItsKindMessageAndHint) {
  const Error error = unsupported("model.bin: a pickle", "convert it to safetensors");
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_STREQ(error.what(), "model.bin: a pickle");
  EXPECT_EQ(error.hint(), "convert it to safetensors");
  EXPECT_TRUE(corrupt_data("m").hint().empty());
}

TEST(Error, AnInternalOneAsksForAReport) {
  EXPECT_NE(internal_error("m").hint().find("report"), std::string::npos);
}

TEST(Error, IsCaughtAsAStandardException) {
  EXPECT_THROW(throw invalid_input("m"), std::runtime_error);
}

}  // namespace
}  // namespace striate
