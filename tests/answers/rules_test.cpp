// The rules of harnesses whose cases scoring_cases.json does not have, and our own.
#include "striate/answers/rules.h"

#include <gtest/gtest.h>

#include "striate/base/error.h"

namespace striate {
namespace {

Question asked(std::vector<std::string> references, std::vector<std::string> options = {}) {
  Question question;
  question.references = std::move(references);
  question.options = std::move(options);
  return question;
}

Judgement judged(const char* rule, const Question& question, const char* text) {
  return scoring_rule(rule).judge(question, text);
}

TEST(Rules, AnUnknownNameIsAnsweredWithTheNearest) {
  try {
    scoring_rule("gqaa");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "did you mean gqa?");
  }
}

TEST(Rules, StrictLettersAreReadOnlyWhereTheyAreMarkedAsOne) {
  const Question question = asked({"B"}, {"red", "green", "blue"});
  for (const char* right :
       {"B", " B\n", "B.", "(B)", "B)", "B: green", "(B) green", "The answer is B.", "I think the answer is (B)"}) {
    EXPECT_EQ(judged("letter-strict", question, right).score, 1) << right;
  }
  for (const char* none : {"", "green", "b", "A or B", "Bananas", "A car", "D.", "B green"}) {
    EXPECT_TRUE(judged("letter-strict", question, none).unparsed) << none;
  }
  EXPECT_EQ(judged("letter-strict", question, "A.").score, 0);
  EXPECT_FALSE(judged("letter-strict", question, "A.").unparsed);
}

TEST(Rules, StrictYesAndNoAreTheFirstWord) {
  const Question question = asked({"no"});
  EXPECT_EQ(judged("yes-no-strict", question, "No, there is not.").score, 1);
  EXPECT_EQ(judged("yes-no-strict", question, "YES").score, 0);
  EXPECT_TRUE(judged("yes-no-strict", question, "nothing").unparsed);
  EXPECT_TRUE(judged("yes-no-strict", question, "").unparsed);
  EXPECT_EQ(judged("pope", question, "").parsed, "yes");  // what strict exists for
}

TEST(Rules, VlmevalkitWantsExactlyOneOfYesAndNo) {
  const Question question = asked({"Yes"});
  EXPECT_EQ(judged("yes-no-words", question, "Yes, it is.").score, 1);
  EXPECT_TRUE(judged("yes-no-words", question, "yes and no").unparsed);
  EXPECT_TRUE(judged("yes-no-words", question, "maybe").unparsed);
}

TEST(Rules, LmmsEvalReadsMmeAndPopeDifferently) {
  const Question question = asked({"yes"});
  EXPECT_EQ(judged("mme-lmms", question, "  Yes.").score, 1);
  EXPECT_EQ(judged("mme-lmms", question, "y").score, 1);
  EXPECT_TRUE(judged("mme", question, "y").unparsed);
  EXPECT_EQ(judged("yes-no-whole", question, "Yes ").score, 1);
  EXPECT_EQ(judged("yes-no-whole", question, "Yes.").score, 0);
}

TEST(Rules, Gsm8kCountsTheMarkedOrTheLastNumber) {
  const Question question = asked({"It is so.\n#### 1,234"});
  EXPECT_EQ(judged("gsm8k-strict-match", question, "so\n#### 1234.").score, 1);
  EXPECT_EQ(judged("gsm8k", question, "so\n#### 1234.").score, 0);
  EXPECT_EQ(judged("gsm8k-flexible", question, "I have 5 and get $1,234.").score, 1);
  EXPECT_TRUE(judged("gsm8k-strict-match", question, "1234").unparsed);
}

TEST(Rules, BbhOfTheHarnessDropsTheLastCharacterWhateverItIs) {
  const Question question = asked({"True"});
  EXPECT_EQ(judged("bbh-lm-eval", question, "So the answer is True.\n\nQ").score, 1);
  EXPECT_EQ(judged("bbh-lm-eval", question, "So the answer is True").score, 0);
  EXPECT_TRUE(judged("bbh-lm-eval", question, "True").unparsed);
}

TEST(Rules, BoxesAreReadByEachHarnessInItsOwnUnits) {
  Question question;
  question.box = Box{0.1, 0.2, 0.5, 0.6};
  question.width = 1000;
  question.height = 500;
  EXPECT_EQ(judged("iou-vlmevalkit", question, "100 200 500 600").score, 1);       // thousandths
  EXPECT_EQ(judged("iou-vlmevalkit", question, "[0.5, 0.6, 0.1, 0.2]").score, 1);  // sorted
  EXPECT_TRUE(judged("iou-vlmevalkit", question, "1 2 3").unparsed);
  EXPECT_EQ(judged("iou-strict", question, "(0.1, 0.2, 0.5, 0.6)").score, 1);
  EXPECT_TRUE(judged("iou-strict", question, "[100, 200, 500, 600]").unparsed);
}

TEST(Rules, LmmsEvalGuessesALetterOfMmbenchWhereVlmevalkitDoesNot) {
  const Question question = asked({"B"}, {"red", "green", "blue", "black"});
  EXPECT_EQ(judged("mmbench-lmms", question, "A or B").parsed, "A");  // at the beginning counts most
  EXPECT_TRUE(judged("mmbench", question, "A or B").unparsed);
  EXPECT_TRUE(judged("mmbench-lmms", question, "").unparsed);
}

TEST(Rules, MmmuOfLmmsEvalAlsoTakesALetterBeforeAPeriod) {
  const Question question = asked({"B"}, {"red", "green", "blue", "black"});
  EXPECT_EQ(judged("mmmu-choice-lmms", question, "B. because").parsed, "B");
  EXPECT_TRUE(judged("mmmu-choice", question, "B. because").unparsed);
}

TEST(Rules, AnlsOfThePaperUsesTheSameTextsThroughout) {
  const Question question = asked({"ab"});
  EXPECT_EQ(judged("docvqa-anls", question, "  ax  ").score, 1 - 1.0 / 6);
  EXPECT_EQ(judged("anls", question, "  ax  ").score, 0.5);
}

TEST(Rules, NoneOfThemEndsInAFailureOnOddText) {
  Question question = asked({"a", ""}, {"a", "", "b"});
  question.box = Box{0, 0, 1, 1};
  const std::string invalid = "\xff\xfe(A) 1e999 [1e9,1,1,1]";
  for (const ScoringRule& rule : scoring_rules()) {
    for (const std::string& text : {std::string(), std::string(1, '\0'), invalid, std::string(20'000, '9'),
                                    std::string(5'000, '('), std::string("\n\n\t . , '")}) {
      const Judgement judgement = rule.judge(question, text);
      EXPECT_GE(judgement.score, 0) << rule.name;
      EXPECT_LE(judgement.score, 1) << rule.name;
    }
    EXPECT_GE(rule.judge(Question{}, "x").score, 0) << rule.name;
  }
}

}  // namespace
}  // namespace striate
