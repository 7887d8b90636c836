#include "striate/text/regex.h"

#include <gtest/gtest.h>

#include "striate/base/error.h"

namespace striate {
namespace {

Error error_of(const std::string& pattern, const std::string& text) {
  try {
    (void)Regex(pattern, "tokenizer.json: pre_tokenizer").find_all(text);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << pattern << " is no error";
  return internal_error("");
}

TEST(Regex, APatternThatDoesNotCompileIsRefusedWithItsPlace) {
  const Error error = error_of("(a", "a");
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_TRUE(std::string(error.what()).starts_with("tokenizer.json: pre_tokenizer: pattern '(a': ")) << error.what();
  EXPECT_FALSE(error.hint().empty());
}

// Two ways to take each letter, and an end that never comes: 2^60 tries.
TEST(Regex, APatternThatTriesWithoutEndIsRefused) {
  const Error error = error_of("(?:a|a)+$", std::string(60, 'a') + "b");
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_NE(std::string(error.what()).find("match limit exceeded"), std::string::npos) << error.what();
  EXPECT_FALSE(error.hint().empty());
}

// A group remembers every step back: 128 bytes and more for each letter.
TEST(Regex, APatternThatTakesMemoryForEveryLetterIsRefusedBeforeGigabytes) {
  const Error error = error_of("(?:a|(b))+[cd]", std::string(4'000'000, 'a'));
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_NE(std::string(error.what()).find("limit exceeded"), std::string::npos) << error.what();
}

TEST(Regex, LongRunsOfSpacesAndLettersAreMatched) {
  const Regex words(R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", "x");
  const std::string text = std::string(3'000'000, ' ') + std::string(3'000'000, 'a');
  const auto found = words.find_all(text);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].second, 2'999'999U);
  EXPECT_EQ(found[1].second, text.size());
}

}  // namespace
}  // namespace striate
