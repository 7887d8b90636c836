#include "striate/eval/question_source.h"

#include <gtest/gtest.h>

#include "striate/answers/benchmark.h"

namespace striate {
namespace {

// Byte-level tokenizers begin an answer with the space after "ASSISTANT:"; the rules of GQA and SEED compare it whole.
TEST(AnswerText, HasNoWhiteSpaceAroundItButAfterABarePrompt) {
  const Protocol& chat = find_protocol(find_benchmark("gqa"), "llava");
  const Protocol& bare = find_protocol(find_benchmark("gsm8k"), "lm-eval");
  ASSERT_FALSE(chat.bare);
  ASSERT_TRUE(bare.bare);
  EXPECT_EQ(answer_text(" no\n", chat), "no");
  EXPECT_EQ(answer_text(" 12\n\n#### 12", bare), " 12\n\n#### 12");
}

}  // namespace
}  // namespace striate
