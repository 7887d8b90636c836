// A small model and a small POPE with pictures, for the tests that ask questions from outside. Made once for each
// suite.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {

class EvalWorld : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    ASSERT_EQ(
        run_command({STRIATE_PROGRAM, "init", "--size", "tiny", "--dtype", "fp32", "--out", file("model")}).exit_code,
        0);
    ASSERT_EQ(run_command(
                  {STRIATE_PROGRAM, "init", "--size", "tiny", "--dtype", "fp32", "--seed", "7", "--out", file("other")})
                  .exit_code,
              0);
    make_pope(file("pope"));
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string file(const std::string& name) { return (folder_->path() / name).string(); }

  // Three splits of 14 questions about 4 pictures, which lie in pope/val2014.
  static void make_pope(const std::filesystem::path& folder) {
    const std::filesystem::path pictures = folder / "val2014";
    std::filesystem::create_directories(pictures);
    const std::vector<std::string> sources = {"hopper_128.jpg", "small_113x75.bmp", "palette_color_small.png",
                                              "bilevel_151x100.png"};
    for (std::size_t i = 0; i < sources.size(); ++i) {
      std::filesystem::copy_file(std::filesystem::path(STRIATE_SOURCE) / "tests/reference/testdata/images" / sources[i],
                                 pictures / picture(i));
    }
    int id = 0;
    for (const char* split : {"random", "popular", "adversarial"}) {
      std::ofstream out(folder / cat("coco_pope_", split, ".json"));
      for (std::size_t i = 0; i < 14; ++i) {
        const nlohmann::json row = {
            {"question_id", ++id},
            {"image", picture(i % 4)},
            {"text", cat("Is there a ", i % 2 == 0 ? "dog" : "lamp", " number ", i, " in the image?")},
            {"label", i % 2 == 0 ? "yes" : "no"}};
        out << row.dump() << '\n';
      }
    }
  }
  static std::string picture(std::size_t number) { return cat("COCO_val2014_00000000000", number, ".jpg"); }

  // The command for a run into `out`; `more` comes last.
  static std::vector<std::string> eval_run(const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {
        STRIATE_PROGRAM, "eval", "run",       "--model", file("model"), "--benchmark", "pope",  "--data", file("pope"),
        "--precision",   "fp32", "--threads", "1",       "--protocol",  "lmms-eval",   "--out", file(out)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  // Every answer of a file by its question; a question that was answered twice fails the test.
  static std::map<std::string, nlohmann::json> answers(const std::filesystem::path& path) {
    std::map<std::string, nlohmann::json> all;
    for (const std::string& line : split(read_file(path), '\n')) {
      if (line.empty()) continue;
      const nlohmann::json answer = nlohmann::json::parse(line);
      EXPECT_TRUE(all.emplace(answer.at("question_id"), answer).second) << "answered twice: " << line;
    }
    return all;
  }
  static std::map<std::string, nlohmann::json> answers_of(const std::string& run,
                                                          const std::string& benchmark = "pope") {
    return answers(std::filesystem::path(file(run)) / benchmark / "answers.jsonl");
  }

  static inline std::unique_ptr<TemporaryFolder> folder_;
};

}  // namespace striate::test
