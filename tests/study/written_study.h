// A small definition as text, and tests that read one.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/study/definition.h"
#include "tests/support/paths.h"

namespace striate::study::test {

class WrittenStudy : public testing::Test {
 protected:
  // `data` and `tune`: more of these tables.
  static std::string small_study(const std::string& data = {}, const std::string& tune = {}) {
    const std::string files = "train = \"train.json\"\nimages = \"images\"\nalign = \"align.json\"\n";
    return cat("name = \"small\"\n[[model]]\nname = \"small\"\npath = \"model\"\n[[data]]\nname = \"pictures\"\n",
               data.empty() ? files : data,
               "[[benchmark]]\nbenchmark = \"llava-json\"\ndata = \"test.json\"\n"
               "[[loss]]\nname = \"words\"\nsense = \"text\"\ndata = \"words.json\"\n"
               "[align]\nsteps = 2\n[tune]\nsteps = 3\n",
               tune, "[[grid]]\nstrategy = [\"uniform\", \"top\", \"all\"]\nsize = [\"25%\", 2]\nseed = [1, 2]\n");
  }
  StudyDefinition read(const std::string& text) {
    const std::filesystem::path file = home_.path() / "study.toml";
    striate::write_file(file, text);
    return read_definition(file);
  }
  void expect_refusal(const std::string& text, const std::string& what, const std::string& hint) {
    try {
      read(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(what));
      EXPECT_THAT(error.hint(), testing::HasSubstr(hint));
      EXPECT_EQ(error.exit_code(), 2);
    }
  }

  striate::test::TemporaryFolder home_;
};

}  // namespace striate::study::test
