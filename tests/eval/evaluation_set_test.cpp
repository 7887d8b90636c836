#include "striate/eval/evaluation_set.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/data/bad_sample.h"
#include "tests/data/small_world.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class EvaluationSetTest : public testing::Test {
 protected:
  EvaluationOptions options() const {
    EvaluationOptions options;
    options.data = world_.data();
    options.images = world_.images();
    return options;
  }
  EvaluationSet open(const EvaluationOptions& options) const {
    return EvaluationSet(world_.model(), world_.tokenizer(), options);
  }

  test::SmallWorld world_{9};
};

TEST_F(EvaluationSetTest, AnItemHoldsWhatTrainingWouldAndTheQuestionsApart) {
  json samples = world_.samples();
  samples[1]["conversations"].push_back({{"from", "human"}, {"value", "And now?"}});
  samples[1]["conversations"].push_back({{"from", "gpt"}, {"value", " abc \n"}});
  world_.write_data(samples);
  EvaluationSet set = open(options());
  ASSERT_EQ(set.size(), 9);
  const EvaluationItem item = set.item(1);
  EXPECT_THAT(item.name, HasSubstr("'s1', sample 1 (line "));
  ASSERT_EQ(item.turns.size(), 2U);
  EXPECT_EQ(item.turns[0].answer, samples[1]["conversations"][1]["value"].get<std::string>());
  EXPECT_EQ(item.turns[1].answer, "abc");
  const std::vector<Message> first = {{"human", samples[1]["conversations"][0]["value"]}};
  EXPECT_EQ(item.turns[0].prompt.input_ids,
            encode_prompt(world_.tokenizer(), render_prompt(first, TemplateKind::kVicunaV1)));
  EXPECT_TRUE(std::equal(item.turns[1].prompt.input_ids.begin(), item.turns[1].prompt.input_ids.end(),
                         item.sample.input_ids.begin()));
  ASSERT_EQ(item.sample.images.size(), 1U);
  EXPECT_EQ(item.turns[1].prompt.images.size(), 1U);
  const std::vector<Sample> packed = {item.sample};
  EXPECT_EQ(pack(packed).targets.size(0), item.targets);
  EXPECT_TRUE(at::equal(set.item(1).sample.images[0], item.sample.images[0]));
}

TEST_F(EvaluationSetTest, TextAloneHasNoImagesAndAnswersThatAreCutAreNotAsked) {
  EvaluationOptions few = options();
  few.most_items = 4;
  EvaluationSet set = open(few);
  EXPECT_EQ(set.size(), 4);
  EXPECT_TRUE(set.item(3).sample.images.empty());
  json samples = world_.samples();
  for (int i = 0; i < 2; ++i) {
    samples[0]["conversations"].push_back({{"from", "human"}, {"value", std::string(300, 'q')}});
    samples[0]["conversations"].push_back({{"from", "gpt"}, {"value", "b"}});
  }
  world_.write_data(samples);
  few.max_tokens = 600;
  EXPECT_EQ(open(few).item(0).turns.size(), 2U);
}

TEST_F(EvaluationSetTest, BadSamplesStopOrAreLeftOut) {
  std::filesystem::remove(world_.images() / "p1.bmp");
  EXPECT_THROW(open(options()), BadSample);
  EvaluationOptions skipping = options();
  skipping.on_bad_sample = OnBadSample::kSkip;
  EvaluationSet set = open(skipping);
  EXPECT_EQ(set.size(), 8);
  EXPECT_EQ(set.skipped(), 1);
  EXPECT_THAT(set.item(1).name, HasSubstr("'s2'"));
  world_.write_data(json::array({{{"conversations", json::array()}}}));
  EXPECT_ERROR(open(skipping), "no sample is good");
}

}  // namespace
}  // namespace striate
