#include "striate/eval/score_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace striate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

ScoreFile scores() {
  ScoreFile file{.model = "a <b> & \"c\"", .layers = 2, .samples = 4};
  file.metrics["bi"] = {.mean = {0.25, 0.5}, .standard_error = {0.01, 0.02}, .samples = {4, 4}};
  file.metrics["bi_image"] = {.mean = {0.1, 0.2}, .standard_error = {0.01, 0.02}, .samples = {3, 3}};
  file.metrics["mine"] = {.mean = {1, 2}};
  file.angular[1] = {.mean = {0.3, 0.1}, .standard_error = {0.01, 0.02}, .samples = {4, 4}};
  file.angular[2] = {.mean = {0.35}, .standard_error = {0.01}, .samples = {4}};
  file.tokens = TokenCounts{.total = 99, .zero_norm = {0, 7}, .not_finite = {0, 0}};
  file.settings = {{"model", "/models/<script>"}, {"seed", 234}};
  return file;
}

TEST(ScoreReport, MetricsComeInTheOrderPeopleReadThem) {
  EXPECT_THAT(metrics_in_order(scores()), ElementsAre("bi", "bi_image", "angular", "mine"));
}

TEST(ScoreReport, TokensLeftOutAreWarningsAndMissingValuesNotes) {
  EXPECT_THAT(score_warnings(scores()), ElementsAre("tokens whose state is zero, left out of the means: layer 1 (7)"));
  ScoreFile file = scores();
  file.metrics["image_attention"] = {.mean = {0, 0}, .samples = {3, 4}};
  file.metrics["mine"].samples = {0, 4};
  EXPECT_THAT(score_notes(file), ElementsAre("for some layers none of the 4 samples has a value of mine",
                                             "3 of the 4 samples have a value of bi_image, image_attention"));
}

TEST(ScoreReport, ThePageHoldsEveryNumberAndIsEscaped) {
  const std::string page = score_report(scores());
  for (const char* part : {"a &lt;b&gt; &amp; &quot;c&quot;", "/models/&lt;script&gt;", "0.250", "0.010", "layer 1 (7)",
                           "Angular distance by block", "3 of the 4 samples have a value of bi_image."}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(testing::ContainsRegex("https?:")));
}

TEST(ScoreReport, TheRegionIsMarkedInTablesAndCharts) {
  EXPECT_THAT(score_report(scores()), Not(HasSubstr("a layer of the region")));
  ScoreFile file = scores();
  file.settings["region"] = {{"spec", "from-run"}, {"layers", {1}}, {"of", 2}};
  const std::string page = score_report(file);
  EXPECT_THAT(page, HasSubstr("layer 1 of 2 (from-run)"));
  EXPECT_THAT(page, HasSubstr("<th scope=\"row\" class=\"in\">1</th>"));
  EXPECT_THAT(page, HasSubstr("<th scope=\"col\" class=\"in\">1</th>"));
  EXPECT_THAT(page, HasSubstr("<rect class=\"band\""));
  EXPECT_THAT(page, HasSubstr("a layer of the region"));
}

TEST(ScoreReport, ARegionOfAnotherDepthOrKindIsNotMarked) {
  ScoreFile file = scores();
  for (const nlohmann::json& region : {nlohmann::json("x"), nlohmann::json{{"layers", {7, -1, "0"}}}}) {
    file.settings["region"] = region;
    EXPECT_THAT(score_report(file), Not(HasSubstr("a layer of the region")));
  }
}

TEST(ScoreReport, EveryMetricSaysWhatHighAndLowMean) {
  for (const char* name :
       {"bi", "bi_text", "bi_image", "bi_multimodal", "angular", "image_attention", "image_attention_text",
        "image_attention_answer", "image_attention_last", "param_change", "param_change_mean", "param_change_sum"}) {
    EXPECT_THAT(metric_meaning(name), HasSubstr(" High: ")) << name;
  }
  EXPECT_EQ(metric_meaning("mine"), "");
  EXPECT_THAT(score_report(scores()), HasSubstr("<dt>bi_<wbr>image</dt><dd>Block Influence over image tokens only."));
}

// Not that of the tokens before them, which predict: the goldens of tests/parity/metric_test.cpp show it.
TEST(ScoreReport, TheAttentionOfTheAnswerIsThatOfItsOwnTokens) {
  EXPECT_THAT(metric_meaning("image_attention_answer"),
              HasSubstr("the tokens of the answer, whose labels are learned."));
}

TEST(ScoreReport, ScoresFarApartAreDrawnOnALogarithmicAxis) {
  ScoreFile file{.model = "m", .layers = 3, .samples = 4};
  file.metrics["bi"] = {.mean = {0.9, 0.05, 0.03}, .standard_error = {0.01, 0.002, 0.001}, .samples = {4, 4, 4}};
  EXPECT_THAT(score_report(file), HasSubstr("The vertical axis is logarithmic and starts at 0.02, not at 0."));
  file.metrics["bi"].mean = {0.9, 0.5, 0.4};
  EXPECT_THAT(score_report(file), Not(HasSubstr("logarithmic")));
}

TEST(ScoreReport, WeightsAloneMakeAPageToo) {
  ScoreFile file{.model = "m", .layers = 1};
  file.metrics["param_change"] = {.mean = {0.5}};
  file.param_change_linears["mlp.up_proj"] = {.mean = {std::numeric_limits<double>::quiet_NaN()}};
  const std::string page = score_report(file);
  EXPECT_THAT(page, HasSubstr("Computed from the weights"));
  EXPECT_THAT(page, HasSubstr("mlp.up_<wbr>proj"));
}

}  // namespace
}  // namespace striate
