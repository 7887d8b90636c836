// Expected values are what Python 3.11 gives.
#include "striate/answers/python_text.h"

#include <gtest/gtest.h>

#include <cmath>

#include "striate/answers/pattern.h"
#include "striate/answers/rules.h"

namespace striate {
namespace {

TEST(PythonText, LowersWhatUnicodeCallsACapital) {
  EXPECT_EQ(python::lower("ÀÉ ÇA Straße ДА Ωμέγα ȺǄ"), "àé ça straße да ωμέγα ⱥǆ");
  EXPECT_EQ(python::lower("İ"), "i\u0307");
  EXPECT_EQ(python::lower("你好 ABC"), "你好 abc");
}

TEST(PythonText, StripsAndSplitsAtUnicodeSpace) {
  EXPECT_EQ(python::strip("\u3000\u00a0 a b \u2028\x1f"), "a b");
  EXPECT_EQ(python::split(" a\u2003b\u00a0c\n"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(python::strip("\u00a0"), "");
  EXPECT_EQ(python::rstrip("a.b..", "."), "a.b");
  EXPECT_EQ(python::strip("'it's'", "'"), "it's");
}

TEST(PythonText, CountsCharactersNotBytes) {
  EXPECT_EQ(python::length("naïve 你好"), 8U);
  EXPECT_EQ(python::upper_length("straße ﬁ"), 10U);  // STRASSE FI
  EXPECT_EQ(python::edit_distance("café", "cafe"), 1U);
  EXPECT_EQ(python::edit_distance("", "abc"), 3U);
  EXPECT_EQ(python::prefix("你好吗", 2), "你好");
}

TEST(PythonText, ReadsNumbersAsFloatDoes) {
  EXPECT_EQ(python::to_float(" 1_000.5e1 "), 10005.0);
  EXPECT_EQ(python::to_float(".5"), 0.5);
  EXPECT_EQ(python::to_float("-5."), -5.0);
  EXPECT_EQ(python::to_float("1e999"), INFINITY);
  EXPECT_EQ(python::to_float("-Infinity"), -INFINITY);
  EXPECT_TRUE(std::isnan(*python::to_float("NaN")));
  for (const char* bad : {"", ".", "1__0", "_1", "1_", "1e", "0x10", "1 2", "１a", "--1", "1,000"}) {
    EXPECT_EQ(python::to_float(bad), std::nullopt) << bad;
  }
}

TEST(PythonText, WritesNumbersAsReprDoes) {
  EXPECT_EQ(python::repr(42), "42.0");
  EXPECT_EQ(python::repr(0.1), "0.1");
  EXPECT_EQ(python::repr(1e16), "1e+16");
  EXPECT_EQ(python::repr(0.00001), "1e-05");
  EXPECT_EQ(python::repr(python::round(2.675, 2)), "2.67");  // the nearest double is below
  EXPECT_EQ(python::repr(python::round(0.125, 2)), "0.12");  // half to even
}

TEST(PythonText, ReadsNumberWordsAsWord2numberDoes) {
  const std::pair<const char*, const char*> numbers[] = {{"two hundred thirty one", "231"},
                                                         {"one million two thousand", "1002000"},
                                                         {"point five", "0.5"},
                                                         {"two point three", "2.3"},
                                                         {"hundred", "100"},
                                                         {"007", "7"},
                                                         {"Twenty-One dogs", "21"},
                                                         {"no one", "1"},
                                                         {"point", "0"}};
  for (const auto& [text, number] : numbers) EXPECT_EQ(number_of_words(text), number) << text;
  for (const char* none : {"", "dog", "2.0", "-5", "thousand five", "one thousand two thousand", "thousand million"}) {
    EXPECT_EQ(number_of_words(none), std::nullopt) << none;
  }
}

TEST(Pattern, FindsWhatPythonsReFinds) {
  const Pattern number(R"(-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d]))");
  std::vector<std::string> found;
  for (const auto& match : number.find_all("1.234e5 and 7, .5")) found.push_back(match[0]);
  EXPECT_EQ(found, (std::vector<std::string>{"1", "5", ".5"}));
  EXPECT_EQ(Pattern(R"((?s).*#### )").replace("a\nb #### 12", ""), "12");
  EXPECT_EQ(Pattern("x*").find_all("ab").size(), 3U);
}

TEST(Pattern, GivesUpOnATextThatWouldTakeForever) {
  const Pattern slow("(a+)+$");
  EXPECT_EQ(slow.search(std::string(5000, 'a') + "b"), std::nullopt);
}

}  // namespace
}  // namespace striate
