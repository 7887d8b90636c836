// Folders of a benchmark's files, made by hand in the publishers' forms.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "striate/answers/benchmark.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "tests/support/paths.h"

namespace striate::test {

class BenchmarkFolder : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_.path() / name).parent_path());
    write_file(folder_.path() / name, text);
  }
  void put(const std::string& name, const nlohmann::json& value) const { put(name, value.dump()); }

  QuestionSet read(std::string_view benchmark, OnBadRow on_bad_row = OnBadRow::kStop) const {
    return read_questions(find_benchmark(benchmark), folder_.path(), on_bad_row);
  }

  // The question as a protocol asks it.
  static std::string prompt(std::string_view benchmark, std::string_view protocol, const QuestionSet& set,
                            std::size_t question) {
    return find_protocol(find_benchmark(benchmark), protocol).prompt(set.questions.at(question), set);
  }

  // What reading says is wrong; "" where it reads.
  std::string refusal(std::string_view benchmark) const {
    try {
      read(benchmark);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_FALSE(error.hint().empty()) << error.what();
      return error.what();
    }
    return "";
  }

  TemporaryFolder folder_;
};

using Texts = std::vector<std::string>;

}  // namespace striate::test
