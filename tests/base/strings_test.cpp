#include "striate/base/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace striate {
namespace {

using testing::ElementsAre;

TEST(Strings, CatStreamsItsArgumentsOneAfterAnother) {
  EXPECT_EQ(cat("layer ", 3, " of ", 32U, ": ", 0.5), "layer 3 of 32: 0.5");
}

TEST(Strings, SplitKeepsEmptyPiecesSoThatJoinUndoesIt) {
  EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  for (const std::string text : {"", ",", "a", "a,b", ",a,,b,"}) EXPECT_EQ(join(split(text, ','), ","), text);
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join({"a", "b"}, " and "), "a and b");
}

TEST(Strings, TrimTakesAsciiBlanksOffBothEndsOnly) {
  EXPECT_EQ(trim(" \t\r\n a b \f\v"), "a b");
  EXPECT_EQ(trim("\u00A0a"), "\u00A0a");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Strings, HumanBytesHaveThreeDigitsInDecimalUnits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(17), "17 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.00 kB");
  EXPECT_EQ(human_bytes(812'000), "812 kB");
  EXPECT_EQ(human_bytes(999'499), "999 kB");
  EXPECT_EQ(human_bytes(999'500), "1.00 MB");
  EXPECT_EQ(human_bytes(9'994'000), "9.99 MB");
  EXPECT_EQ(human_bytes(9'996'000), "10.0 MB");
  EXPECT_EQ(human_bytes(13'500'000'000), "13.5 GB");
  EXPECT_EQ(human_bytes(5'000'000'000'000'000), "5000 TB");  // there is no larger unit
}

TEST(Strings, HumanCountsHaveNoUnitBelowAThousand) {
  EXPECT_EQ(human_count(17), "17");
  EXPECT_EQ(human_count(812'000'000), "812 M");
  EXPECT_EQ(human_count(6'740'000'000), "6.74 B");
}

TEST(Strings, NearestNameFindsASlipAndNothingFartherOff) {
  const std::vector<std::string> commands{"inspect", "init", "chat", "tokenize"};
  EXPECT_EQ(nearest_name("inspct", commands), "inspect");
  EXPECT_EQ(nearest_name("tokenise", commands), "tokenize");
  EXPECT_EQ(nearest_name("chat", commands), "chat");
  EXPECT_EQ(nearest_name("frobnicate", commands), "");
  EXPECT_EQ(nearest_name("anything", {}), "");
}

TEST(Strings, AShortNameIsNearAfterOneSlipAlone) {
  EXPECT_EQ(nearest_name("foo", {"top", "bottom"}), "");
  EXPECT_EQ(nearest_name("help", {"heal"}), "");
  EXPECT_EQ(nearest_name("trian", {"train"}), "train") << "swapped letters are one slip";
  EXPECT_EQ(nearest_name("isnpcet", {"inspect"}), "inspect") << "two slips of seven letters";
  EXPECT_EQ(nearest_name("isnpce", {"inspect"}), "");
  EXPECT_EQ(nearest_name("b1", {"all", "bi"}), "bi");
  EXPECT_EQ(nearest_name("x", {"y", "xy"}), "xy") << "nothing of \"y\" was typed";
  EXPECT_EQ(nearest_name("", {"", "a"}), "");
}

TEST(Strings, OneOfSomethingHasNoPlural) {
  EXPECT_EQ(counted(1, "step"), "1 step");
  EXPECT_EQ(counted(0, "step"), "0 steps");
  EXPECT_EQ(counted(std::size_t{2}, "layer"), "2 layers");
}

TEST(Strings, ValidUtf8OfEveryLength) {
  for (const char* text : {"", "ascii", "\u00E9", "\u20AC", "\U0001F600", "\u07FF\u0800\uFFFF\U00010000\U0010FFFF"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
  EXPECT_TRUE(is_valid_utf8(std::string_view("\0", 1)));
}

TEST(Strings, IllFormedUtf8IsSeen) {
  const std::vector<std::string> bad{
      "\x80",              // a continuation alone
      "\xC3",              // cut short
      "\xE2\x82",          // cut short
      "\xF0\x9F\x98",      // cut short
      "\xC3(",             // no continuation
      "\xC0\x80",          // overlong in 2
      "\xE0\x9F\xBF",      // overlong in 3
      "\xF0\x8F\xBF\xBF",  // overlong in 4
      "\xED\xA0\x80",      // a surrogate
      "\xF4\x90\x80\x80",  // beyond the last code point
      "\xF5\x80\x80\x80",  // no such lead
      "\xFF",
      "good\xFE",
  };
  for (const std::string& text : bad) EXPECT_FALSE(is_valid_utf8(text)) << testing::PrintToString(text);
}

TEST(Strings, PrintableTextHasNoControlCharacters) {
  EXPECT_EQ(printable("plain, \u00E9 \u20AC \U0001F600"), "plain, \u00E9 \u20AC \U0001F600");
  EXPECT_EQ(printable("a\x1b[2J\r\n\tb\x7f"), "a\\u001b[2J\\u000d\\u000a\\u0009b\\u007f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\u0000");
  EXPECT_EQ(printable("\u009b2J \u202Etxt \u2028"), "\\u009b2J \\u202etxt \\u2028");
  EXPECT_EQ(printable("cut \xE2\x82 \xFF"), "cut \\xe2\\x82 \\xff");
}

TEST(Strings, PrintableLinesKeepLineBreaksAndTabs) {
  EXPECT_EQ(printable_lines("a\n\tb\r\x1b"), "a\n\tb\\u000d\\u001b");
}

}  // namespace
}  // namespace striate
