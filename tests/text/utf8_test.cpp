#include "striate/text/utf8.h"

#include <gtest/gtest.h>

#include "striate/base/strings.h"

namespace striate {
namespace {

TEST(Utf8, EveryCharacterComesBackAsItself) {
  for (char32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xD800 && code < 0xE000) continue;
    const std::string bytes = utf8_encode(code);
    const Utf8Character read = utf8_at(bytes, 0);
    ASSERT_TRUE(read.valid) << static_cast<std::uint32_t>(code);
    ASSERT_EQ(read.code, code);
    ASSERT_EQ(read.size, bytes.size());
  }
}

// The examples of the Unicode standard, tables 3-8 to 3-11.
TEST(Utf8, EveryMaximalSubpartBecomesOneReplacement) {
  const std::string r = "\uFFFD";
  EXPECT_EQ(to_valid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(to_valid_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(to_valid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
}

TEST(Utf8, PiecesMakeTheSameTextAsTheWhole) {
  const std::string whole = "a\xC3\xA9\xF0\x9F\x99\x82\xE4\xBD\xF0\x9F\x41\xFF\xE4";
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    Utf8Assembler assembler;
    std::string text = assembler.push(std::string_view(whole).substr(0, cut));
    EXPECT_TRUE(is_valid_utf8(text));
    text += assembler.push(std::string_view(whole).substr(cut));
    text += assembler.finish();
    EXPECT_EQ(text, to_valid_utf8(whole)) << cut;
  }
}

TEST(Utf8, StripsWhatPythonStrips) {
  EXPECT_EQ(python_strip(" \t\n\u00a0\u3000\x1c a b \u2028\x85 \xC2\x85"), "a b \u2028\x85");
  EXPECT_EQ(python_strip(" \n "), "");
  EXPECT_EQ(python_strip("\u200b"), "\u200b");
}

}  // namespace
}  // namespace striate
