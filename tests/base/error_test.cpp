#include "striate/base/error.h"

#include <gtest/gtest.h>

#include "striate/base/strings.h"

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

TEST(Error, IsOneLineWithoutControlCharactersWhateverNamesAreInIt) {
  const Error error = corrupt_data("x\x1b[2J\nerror: a lie", "y\x07");
  EXPECT_STREQ(error.what(), "x\\u001b[2J\\u000aerror: a lie");
  EXPECT_EQ(error.hint(), "y\\u0007");
}

TEST(Error, IsCutInTheMiddleWhereANameInItIsVeryLong) {
  std::string name;
  for (int i = 0; i < 100'000; ++i) name += "\u00e9";
  const std::string message = corrupt_data("tokenizer.json: '" + name + "' occurs twice").what();
  EXPECT_LE(message.size(), 1500U);
  EXPECT_GT(message.size(), 1400U);
  EXPECT_TRUE(is_valid_utf8(message));
  EXPECT_TRUE(message.starts_with("tokenizer.json: '\u00e9"));
  EXPECT_TRUE(message.ends_with("\u00e9' occurs twice"));
  EXPECT_NE(message.find(" [...] "), std::string::npos);
}

TEST(Error, IsCaughtAsAStandardException) {
  EXPECT_THROW(throw invalid_input("m"), std::runtime_error);
}

}  // namespace
}  // namespace striate
