#include "striate/text/token_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/text/tiny_tokenizers.h"

namespace striate::test {
namespace {

class TokenLinesTest : public testing::Test {
 protected:
  TokenLinesTest() { write_file(folder_.path() / "tokenizer.json", tiny_tokenizer_json().dump()); }
  TokenizeRequest request() const { return {.tokenizer = folder_.path() / "tokenizer.json", .source = "here"}; }

  TemporaryFolder folder_;
};

TEST_F(TokenLinesTest, EveryLineIsAnsweredInItsPlaceHoweverManyThereAre) {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back(cat(R"({"text": "abc)", std::string(i % 3, 'a'), "\"}"));
  const std::vector<std::string_view> lines(texts.begin(), texts.end());
  std::string out;
  TokenLines(request()).encode(lines, 1, [&](const std::string& encoded) { out += encoded; });
  const std::vector<std::string> answers = split(trim(out), '\n');
  ASSERT_EQ(answers.size(), texts.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_THAT(answers[i], testing::EndsWith(cat("\"text\": \"abc", std::string(i % 3, 'a'), "\"}")));
  }
}

TEST_F(TokenLinesTest, ALineThatIsNoneIsNamedAfterThoseBeforeItAreOut) {
  std::string out;
  const auto keep = [&](const std::string& encoded) { out += encoded; };
  const TokenLines tokenizer(request());
  EXPECT_ERROR(tokenizer.encode({R"({"text": "ab"})", "[]"}, 7, keep), "here, line 8: array instead of an object");
  EXPECT_THAT(out, testing::HasSubstr("\"text\": \"ab\"}\n"));
  EXPECT_ERROR(tokenizer.encode({R"({"txt": "ab"})"}, 1, keep), "here, line 1: no \"text\"");
  EXPECT_ERROR(tokenizer.encode({R"({"text": 1})"}, 1, keep), "\"text\" is number, not a string");
  EXPECT_ERROR(tokenizer.encode({"{"}, 1, keep), "not valid JSON");
}

TEST_F(TokenLinesTest, LegacyIsForSentencepieceAlone) {
  TokenizeRequest legacy = request();
  legacy.legacy = true;
  EXPECT_ERROR(TokenLines{legacy}, "`legacy` does not apply");
}

}  // namespace
}  // namespace striate::test
