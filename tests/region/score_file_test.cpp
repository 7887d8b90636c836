#include "striate/region/score_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/region/written_scores.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ScoreFiles : public testing::Test {
 protected:
  std::string refusal(const std::string& text) {
    write_file(path_, text);
    try {
      read_score_file(path_);
      return "accepted";
    } catch (const Error& error) {
      EXPECT_NE(error.hint(), "") << text;
      EXPECT_THAT(error.what(), HasSubstr(path_.string()));
      return error.what();
    }
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "scores.json";
};

TEST_F(ScoreFiles, WhatIsWrittenIsRead) {
  ScoreFile scores{.model = "llava", .layers = 3, .samples = 500};
  scores.settings = {{"seed", 7}, {"after_final_norm", false}};
  scores.metrics["bi"] = {.mean = {0.5, std::numeric_limits<double>::quiet_NaN(), 0.125},
                          .standard_error = {0.1, 0, 0.2},
                          .samples = {500, 0, 499}};
  scores.metrics["param_change"] = {.mean = {1, 2, 3}};
  scores.angular[1] = {.mean = {1, 2, 3}};
  scores.angular[3] = {.mean = {0.25}, .standard_error = {0.5}};
  scores.image_attention_heads = {{.mean = {1, 2}}, {.mean = {3, 4}}, {.mean = {5, 6}}};
  scores.param_change_linears["mlp.up_proj"] = {.mean = {0.1, 0.2, 0.3}};
  scores.tokens = TokenCounts{.total = 9, .zero_norm = {1, 0, 0}, .not_finite = {0, 2, 0}};
  scores.decoder = DecoderShape{32, 48, 4, 2};
  write_scores(scores, path_);

  const ScoreFile read = read_score_file(path_);
  EXPECT_EQ(read.metrics.at("bi").samples, (std::vector<std::int64_t>{500, 0, 499}));
  EXPECT_EQ(read.param_change_linears.at("mlp.up_proj").mean, (std::vector<double>{0.1, 0.2, 0.3}));
  EXPECT_EQ(read.tokens->total, 9);
  EXPECT_EQ(read.tokens->not_finite, (std::vector<std::int64_t>{0, 2, 0}));
  EXPECT_TRUE(read.tokens->attention_not_finite.empty());
  EXPECT_EQ(read.decoder, scores.decoder);
  EXPECT_EQ(read.model, "llava");
  EXPECT_EQ(read.layers, 3);
  EXPECT_EQ(read.samples, 500);
  EXPECT_EQ(read.settings, scores.settings);
  EXPECT_EQ(read.metric("bi").mean[0], 0.5);
  EXPECT_TRUE(std::isnan(read.metric("bi").mean[1]));
  EXPECT_EQ(read.metric("bi").standard_error, scores.metrics["bi"].standard_error);
  EXPECT_TRUE(read.metric("param_change").standard_error.empty());
  EXPECT_EQ(read.metric("angular").mean, scores.angular[1].mean);
  EXPECT_EQ(read.angular.at(3).standard_error, scores.angular[3].standard_error);
  EXPECT_EQ(read.image_attention_heads[2].mean, scores.image_attention_heads[2].mean);
  EXPECT_THAT(read.metric_names(), ElementsAre("bi", "param_change", "angular"));
}

TEST_F(ScoreFiles, ScoresThatContradictTheirDepthAreNotWritten) {
  ScoreFile scores{.model = "m", .layers = 3, .samples = 1};
  scores.metrics["bi"] = {.mean = {1, 2}};
  EXPECT_ERROR(write_scores(scores, path_), "a score does not have one value per place");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ScoreFiles, DamagedFilesAreRefusedByKey) {
  const auto file = [](const std::string& rest) {
    return cat(R"({"format": "striate-scores", "version": 1, "model": "m", "layers": 2, "samples": 1, )", rest, "}");
  };
  EXPECT_EQ(refusal(file(R"("metrics": {"bi": {"mean": [1, 2]}})")), "accepted");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "empty, not JSON"},
      {"{\"format\": ", "not valid JSON"},
      {"[]", "not a score file"},
      {R"({"format": "other"})", "not a score file"},
      {R"({"format": "striate-scores"})", "has no \"version\""},
      {R"({"format": "striate-scores", "version": 2})", "score file version 2"},
      {R"({"format": "striate-scores", "version": 0})", "\"version\" is 0"},
      {R"({"format": "striate-scores", "version": 1, "model": 3})", "\"model\" is not of type text"},
      {R"({"format": "striate-scores", "version": 1, "model": "m", "layers": -1})", "\"layers\" is -1"},
      {R"({"format": "striate-scores", "version": 1, "model": "m", "layers": 1e300})", "\"layers\" is 1e+300"},
      {R"({"format": "striate-scores", "version": 1, "model": "m", "layers": 99999999999})",
       "\"layers\" is 99999999999"},
      {file(R"("scores": {})"), "has no \"metrics\""},
      {file(R"("metrics": [])"), "\"metrics\" is not of type object"},
      {file(R"("metrics": {"bi": [1, 2]})"), "\"bi\" is not an object with a \"mean\""},
      {file(R"("metrics": {"bi": {}})"), "\"bi\" has no \"mean\""},
      {file(R"("metrics": {"bi": {"mean": [1]}})"), "\"bi\" has 1 values in \"mean\", expected 2"},
      {file(R"("metrics": {"bi": {"mean": [1, "2"]}})"), "\"bi\" value 1 in \"mean\" is not a number"},
      {file(R"("metrics": {"bi": {"mean": [1, 1e999]}})"), "the number 1e999 is too large"},
      {file(R"("metrics": {"bi": {"mean": [1, 2], "standard_error": [1]}})"), "1 values in \"standard_error\""},
      {file(R"("metrics": {}, "angular": {"3": {"mean": [1]}})"), "block length \"3\" of 2 layers"},
      {file(R"("metrics": {}, "angular": {"x": {"mean": [1]}})"), "block length \"x\""},
      {file(R"("metrics": {}, "angular": {"2": {"mean": [1, 2]}})"), "\"angular.2\" has 2 values"},
      {file(R"("metrics": {}, "image_attention_heads": [])"), "has 0 layers, expected 2"},
      {file(R"("metrics": {"bi": {"mean": [1, 2], "samples": [1]}})"), "1 values in \"samples\""},
      {file(R"("metrics": {"bi": {"mean": [1, 2], "samples": [1, -1]}})"), "value 1 in \"samples\" is not a count: -1"},
      {file(R"("metrics": {"bi": {"mean": [1, 2], "samples": [1, 18446744073709551615]}})"),
       "value 1 in \"samples\" is not a count: 18446744073709551615"},
      {file(R"("metrics": {}, "tokens": {})"), "has no \"total\""},
      {file(R"("metrics": {}, "tokens": {"total": 5, "zero_norm": [1]})"), "1 values in \"zero_norm\""},
      {file(R"("metrics": {}, "decoder": {"hidden": 0})"), "\"hidden\" is 0"},
      {file(R"("metrics": {}, "param_change_linears": [])"), "\"param_change_linears\" is not of type object"},
      {file(R"("metrics": {}, "settings": 3)"), "\"settings\" is not of type object"},
  };
  for (const auto& [text, words] : cases) EXPECT_THAT(refusal(text), HasSubstr(words)) << text;
}

}  // namespace
}  // namespace striate
