#include "striate/base/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The message of the error for `text`, read as "file.json"; it must be CorruptData with a hint.
std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, "file.json", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCorruptData) << error.what();
    EXPECT_FALSE(error.hint().empty()) << error.what();
    return error.what();
  }
  return "no error";
}

std::string repeated(std::string_view piece, std::size_t times) {
  std::string text;
  text.reserve(piece.size() * times);
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

// The most memory that this process has held, in bytes.
std::int64_t peak_memory() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

TEST(Json, EveryKindOfValueIsRead) {
  const std::string text =
      R"( {"a": [1, -2, 2.5, 1e3, true, false, null, "\u00e4\n", [], {}], "b": {"c": {"d": 18446744073709551615}}} )";
  EXPECT_EQ(parse_json(text, "file.json"), nlohmann::json::parse(text));
  EXPECT_EQ(parse_json("7", "file.json"), 7);
  EXPECT_EQ(parse_json("\xEF\xBB\xBF[\"a\"]", "file.json"), nlohmann::json({"a"}));
}

TEST(Json, DamagedTextIsNamedWithItsPlace) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "file.json: empty, not JSON"},
      {" \n ", "file.json: empty, not JSON"},
      {"{\"a\": 1,\n \"b\" 2}", "file.json:2:6: not valid JSON"},
      {"{\"a\": [1, 2", "file.json:1:12: not valid JSON: it ends too soon"},
      {"{\"a\": \"b", "file.json:1:9: not valid JSON: it ends too soon"},
      {"[1] 2", "file.json:1:5: not valid JSON"},
      {"[1,]", "file.json:1:4: not valid JSON"},
      {"{\"a\": NaN}", "file.json:1:7: not valid JSON: NaN is not a number"},
      {"[\n-Infinity]", "file.json:2:2: not valid JSON: Infinity is not a number"},
      {"[\"\xC3\xA4\", \"\xE4\"]", "file.json:1:9: not valid JSON: not UTF-8"},
      {std::string("[1\0]", 4), "file.json:1:3: not valid JSON"},
      {"[\"a\tb\"]", "file.json:1:4: not valid JSON: a control character inside a string"},
      {std::string("\xFF\xFE[\0]\0", 6), "file.json: UTF-16 text, not UTF-8"},
      {"// no\n[]", "file.json:1:1: not valid JSON"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(refusal(text), message) << text;
}

TEST(Json, NumbersBeyondADoubleAreRefusedWhereTheyStand) {
  EXPECT_EQ(refusal("{\"a\": 1,\n \"zz\": 1e400}"), "file.json:2:8: the number 1e400 is too large");
  EXPECT_EQ(refusal("[-1e999]"), "file.json:1:2: the number -1e999 is too large");
  EXPECT_THAT(refusal("[1" + std::string(400, '0') + ".0]"), StartsWith("file.json:1:2: the number 1000"));
  EXPECT_EQ(parse_json("1e-400", "file.json"), 0.0);
}

TEST(Json, AKeyThatStandsTwiceInOneObjectIsRefused) {
  EXPECT_EQ(refusal(R"({"a": 1, "b": {"c": 1, "c": 1}})"), "file.json: the key \"c\" occurs twice in one object");
  EXPECT_EQ(parse_json(R"({"a": {"b": 1}, "b": {"b": 1}})", "file.json").size(), 2U);
}

TEST(Json, NestingIsBoundedBeforeItOverflowsTheStack) {
  EXPECT_EQ(parse_json(repeated("[", 64) + repeated("]", 64), "file.json").size(), 1U);
  EXPECT_THAT(refusal(repeated("[", 65) + repeated("]", 65)), HasSubstr("more than 64 deep"));
  EXPECT_THAT(refusal(repeated("[", 1'000'000)), HasSubstr("more than 64 deep"));
  EXPECT_THAT(refusal(repeated("{\"a\":", 1'000'000)), HasSubstr("more than 64 deep"));
  EXPECT_THAT(refusal(repeated("[", 1'000'000), kHistoryJson), HasSubstr("more than 1000 deep"));
}

TEST(Json, TheDeepestHistoryIsCopiedAndWrittenWithoutFault) {
  const nlohmann::json deep = parse_json(repeated("{\"a\":", 1000) + "1" + repeated("}", 1000), "f", kHistoryJson);
  const nlohmann::json copy = deep;
  EXPECT_EQ(copy, parse_json(json_text(copy), "f", kHistoryJson));
}

TEST(Json, ManyValuesAreRefusedBeforeTheyTakeMemory) {
  const std::string text = "[" + repeated("[],", 64'000'000) + "[]]";
  const std::int64_t before = peak_memory();
  EXPECT_THAT(refusal(text, {.bytes = text.size(), .depth = 64, .values = 1'000'000}),
              HasSubstr("more than 1000000 values"));
  EXPECT_LT(peak_memory() - before, 200'000'000);
  EXPECT_EQ(parse_json("[1, 2, 3]", "f", {.bytes = 9, .depth = 1, .values = 4}).size(), 3U);
  EXPECT_THAT(refusal("[1, 2, 3]", {.bytes = 9, .depth = 1, .values = 3}), HasSubstr("more than 3 values"));
}

TEST(Json, TextBeyondItsSizeIsRefused) {
  EXPECT_THAT(refusal("[1, 2, 3]", {.bytes = 8}), HasSubstr("file.json: 9 B of JSON, more than the 8 B"));
}

TEST(Json, TextThatMayBeNoneIsAskedFor) {
  EXPECT_EQ(try_parse_json("{\"step\": 3}")->at("step"), 3);
  for (const std::string& text : {std::string("{\"step\": "), std::string("{\"a\": 1e400}"), repeated("[", 100'000)}) {
    EXPECT_FALSE(try_parse_json(text)) << text.substr(0, 20);
  }
}

TEST(Json, AFileIsReadWithinItsLimits) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "config.json";
  write_file(path, "{\"a\": 1}");
  EXPECT_EQ(read_json_file(path).at("a"), 1);
  EXPECT_ERROR(read_json_file(path, {.bytes = 7}), "config.json: ");
  write_file(path, "{\"a\": 1");
  try {
    read_json_file(path);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), path.string() + ":1:8: not valid JSON: it ends too soon");
  }
}

TEST(Json, NamesThatAreNoUtf8AreWrittenAllTheSame) {
  EXPECT_EQ(json_text({{"file", "caf\xE9"}}), "{\"file\":\"caf\xEF\xBF\xBD\"}");
  EXPECT_EQ(json_text({1, 2}, 1), "[\n 1,\n 2\n]");
}

}  // namespace
}  // namespace striate
