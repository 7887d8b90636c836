#include "striate/base/setting.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

std::string shown(std::string_view text) {
  return with_settings(text, [](std::string_view name) { return std::string("<").append(name).append(">"); });
}

TEST(Setting, NamesAreWrittenWithUnderscoresBetweenBackticks) {
  EXPECT_EQ(setting("tokens-per-stream"), "`tokens_per_stream`");
  EXPECT_EQ(setting("out"), "`out`");
}

TEST(Setting, EverySettingOfATextGetsTheNameThatIsShown) {
  EXPECT_EQ(shown("`out` a: exists; give another `out`, or `lora_r` 8"),
            "<out> a: exists; give another <out>, or <lora_r> 8");
  EXPECT_EQ(shown("`out`"), "<out>");
  EXPECT_EQ(shown(""), "");
}

TEST(Setting, OtherBackticksStayAsTheyAre) {
  EXPECT_EQ(shown("run `git lfs pull` there"), "run `git lfs pull` there");
  EXPECT_EQ(shown("run `git lfs pull` with `out`"), "run `git lfs pull` with <out>");
  EXPECT_EQ(shown("a ` alone"), "a ` alone");
  EXPECT_EQ(shown("`` and `Name` and `1st`"), "`` and `Name` and `1st`");
  EXPECT_EQ(shown("an odd ` before `out`"), "an odd ` before <out>");
}

}  // namespace
}  // namespace striate
