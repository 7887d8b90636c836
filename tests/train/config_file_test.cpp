#include "striate/train/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kKnown = {"lora-r", "lr", "layers", "freeze-projector", "lora-targets", "data", "seed"};

class ConfigFile : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) {
    write_file(home_.path() / name, text);
    return home_.path() / name;
  }
  void expect_refusal(const std::string& name, const std::string& text, const std::string& what,
                      const std::string& hint) {
    try {
      read_config_file(write(name, text), kKnown);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(what));
      EXPECT_THAT(error.hint(), HasSubstr(hint));
      EXPECT_EQ(error.exit_code(), 2);
    }
  }
  test::TemporaryFolder home_;
};

std::string value_of(const std::vector<ConfigEntry>& entries, const std::string& key) {
  for (const ConfigEntry& entry : entries) {
    if (entry.key == key) return entry.value;
  }
  return "(absent)";
}

TEST_F(ConfigFile, EveryKindOfValueBecomesWhatWouldBeTyped) {
  const auto entries = read_config_file(write("run.toml",
                                              "# a recipe\n"
                                              "layers = \"uniform:25%\"\nlora_r = 128\nlr = 2e-4\n"
                                              "freeze-projector = true\nlora-targets = [\"q_proj\", \"v_proj\"]\n"),
                                        kKnown);
  ASSERT_EQ(entries.size(), 5U);
  EXPECT_EQ(value_of(entries, "layers"), "uniform:25%");
  EXPECT_EQ(value_of(entries, "lora-r"), "128");
  EXPECT_EQ(value_of(entries, "lr"), "0.0002");
  EXPECT_EQ(value_of(entries, "freeze-projector"), "true");
  EXPECT_EQ(value_of(entries, "lora-targets"), "q_proj,v_proj");
}

TEST_F(ConfigFile, AnEntryKnowsItsLine) {
  const auto entries = read_config_file(write("run.toml", "\n\nseed = 3\n"), kKnown);
  EXPECT_THAT(entries.at(0).where, HasSubstr("run.toml:3"));
}

TEST_F(ConfigFile, UnknownKeysAreRefusedWithLineAndNearestName) {
  expect_refusal("run.toml", "lr = 1e-4\nlora-rr = 3\n", "run.toml:2: unknown key \"lora-rr\"", "\"lora-r\"");
  expect_refusal("run.toml", "completely_else = 3\n", "unknown key", "`help`");
}

TEST_F(ConfigFile, TablesAndDatesAreNoValues) {
  expect_refusal("run.toml", "[lr]\nx = 1\n", "run.toml:1", "key");
  expect_refusal("run.toml", "seed = 1979-05-27\n", "run.toml:1: \"seed\"", "flag");
  expect_refusal("run.toml", "layers = [[1], [2]]\n", "\"layers\"", "flag");
}

TEST_F(ConfigFile, WhatIsNoTomlIsRefusedWithItsLine) {
  expect_refusal("run.toml", "lr = 1\nseed = = 2\n", "run.toml:2", "key = value");
  expect_refusal("run.toml", "lr = 1\nlr = 2\n", "run.toml:2", "");
  expect_refusal("run.toml", "lora-r = 1\nlora_r = 2\n", "twice", "");
  expect_refusal("run.toml", "lr = 1\n[[  [[", "run.toml:2:5: not valid TOML: ", "key = value");
  expect_refusal("run.toml", "lr = \"\xE9\"", "run.toml:1", "key = value");
  expect_refusal("run.toml", "lr = 1e400", "run.toml:1", "key = value");
}

TEST_F(ConfigFile, DeepTomlIsRefusedBeforeItOverflowsTheStack) {
  for (const std::string piece : {"[", "{a=", "a."}) {
    std::string text = piece == "a." ? "" : "lr = ";
    for (int i = 0; i < 100'000; ++i) text += piece;
    expect_refusal("run.toml", text + "a = 1", "run.toml:1", "key = value");
  }
}

TEST_F(ConfigFile, TheRecordOfARunGivesItsArguments) {
  const auto entries = read_config_file(
      write("run.json", R"({"arguments": {"seed": 7, "lora-targets": ["a", "b"], "freeze-projector": true}, "x": 1})"),
      kKnown);
  EXPECT_EQ(value_of(entries, "seed"), "7");
  EXPECT_EQ(value_of(entries, "lora-targets"), "a,b");
  EXPECT_EQ(value_of(entries, "freeze-projector"), "true");
  expect_refusal("other.json", "{}", "no object \"arguments\"", "run.json");
  expect_refusal("other.json", R"({"arguments": {"sed": 7}})", "unknown key \"sed\"", "\"seed\"");
}

TEST_F(ConfigFile, OtherFilesAreRefused) {
  expect_refusal("run.yaml", "seed: 1", "not a .toml or .json file", "TOML");
  EXPECT_ERROR(read_config_file(home_.path() / "absent.toml", kKnown), "absent.toml");
}

TEST_F(ConfigFile, WhatTheParserTakesForGrantedIsRefused) {
  expect_refusal("time.toml", std::string("steps = 1979-05-27T\5\0\0\0002:00Z\n", 28), "time.toml", "key = value");
  expect_refusal("tables.toml", "[[  [[", "tables.toml", "key = value");
}

}  // namespace
}  // namespace striate
