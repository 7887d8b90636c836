#include "striate/data/data_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/picture_settings.h"
#include "tests/data/small_world.h"

namespace striate {
namespace {

using nlohmann::json;

class DataCheckTest : public testing::Test {
 protected:
  DataReport check(std::int64_t max_tokens = 1024) const {
    DataCheckOptions options;
    options.data = world_.data();
    options.images = world_.images();
    options.preprocess = preprocess_config(world_.model().config(), {});
    options.max_tokens = max_tokens;
    return check_data(world_.model().config(), world_.tokenizer(), options);
  }

  test::SmallWorld world_{60};
};

TEST_F(DataCheckTest, CountsWhatTrainingWillSee) {
  const DataReport report = check();
  EXPECT_EQ(report.samples, 60);
  EXPECT_EQ(report.good, 60);
  EXPECT_EQ(report.with_images, 40);
  EXPECT_EQ(report.images, 40);
  EXPECT_EQ(report.turns, 60);
  EXPECT_EQ(report.truncated, 0);
  EXPECT_TRUE(report.bad.empty());
  StepSourceOptions options = world_.options();
  options.batch = 60;
  const TrainingStep epoch = open_step_source(world_.model(), world_.tokenizer(), options)->next();
  EXPECT_EQ(report.tokens, epoch.tokens);
  EXPECT_EQ(report.targets, epoch.targets);
  std::int64_t counted = 0;
  for (const auto& [bound, count] : report.lengths) counted += count;
  EXPECT_EQ(counted, 60);
}

TEST_F(DataCheckTest, FindsEveryKindOfBadSample) {
  json samples = world_.samples();
  samples[1]["image"] = "lost.bmp";
  samples[2]["image"] = "half.bmp";
  world_.write_image("half.bmp", test::bmp_picture(20, 20, 1).substr(0, 700));
  samples[3]["conversations"].erase(1);
  samples[4]["conversations"][0]["from"] = "robot";
  samples[5]["image"] = "../escape.bmp";
  samples[6]["conversations"] = 7;
  samples[7].erase("conversations");
  samples[8]["conversations"][0]["value"] = "no mark";
  samples[9]["conversations"][0]["value"] = std::string(2000, 'q');
  samples[20]["id"] = "s21";
  samples[22]["id"] = "s21";
  world_.write_data(samples);
  const DataReport report = check();
  const auto indices = [&](BadReason reason) {
    std::vector<std::int64_t> found;
    for (const SkippedSample& bad : report.bad.at(reason).samples) found.push_back(bad.number);
    EXPECT_EQ(report.bad.at(reason).count, static_cast<std::int64_t>(found.size()));
    return found;
  };
  using Indices = std::vector<std::int64_t>;
  EXPECT_EQ(report.good, 51);
  EXPECT_EQ(indices(BadReason::kMissingImage), Indices{1});
  EXPECT_EQ(indices(BadReason::kBrokenImage), Indices{2});
  EXPECT_EQ(indices(BadReason::kNoTargets), Indices{3});
  EXPECT_EQ(indices(BadReason::kUnknownRole), Indices{4});
  EXPECT_EQ(indices(BadReason::kImagePath), Indices{5});
  EXPECT_EQ(indices(BadReason::kBrokenRecord), (Indices{6, 7}));
  EXPECT_EQ(indices(BadReason::kImageMarks), Indices{8});
  EXPECT_EQ(indices(BadReason::kTooLong), Indices{9});
  EXPECT_EQ(report.duplicate_ids, (std::map<std::string, std::int64_t>{{"s21", 3}}));
}

TEST_F(DataCheckTest, EachBadSampleKeepsItsOwnHint) {
  json samples = world_.samples();
  samples[1]["image"] = "https://example.org/a.jpg";
  samples[2]["image"] = cat("data:image/png;base64,", std::string(9000, 'A'));
  samples[4]["image"] = "../escape.bmp";
  world_.write_data(samples);
  const DataReport report = check();
  const std::vector<SkippedSample>& bad = report.bad.at(BadReason::kImagePath).samples;
  ASSERT_EQ(bad.size(), 3U);
  EXPECT_THAT(bad[0].message, testing::HasSubstr("https://example.org/a.jpg"));
  EXPECT_THAT(bad[0].hint, testing::HasSubstr("download"));
  EXPECT_LT(bad[1].message.size(), 400U);
  EXPECT_THAT(bad[1].hint, testing::HasSubstr("decode the data"));
  EXPECT_THAT(bad[2].hint, testing::HasSubstr("`images`"));
}

TEST_F(DataCheckTest, SaysInWhichFormTheSamplesAre) {
  json samples = world_.samples();
  samples[0] = {{"messages",
                 {{{"role", "system"}, {"content", "s"}},
                  {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "q"}}}}},
                  {{"role", "assistant"}, {"content", "bb"}}}}};
  samples[3]["conversations"] = 7;
  world_.write_data(samples);
  const std::map<std::string, std::int64_t> expected = {{"conversations with from and value", 58},
                                                        {"messages with role and content, in parts", 1}};
  EXPECT_EQ(check().forms, expected);
}

TEST_F(DataCheckTest, WhereNoPictureIsThereItAsksAboutTheFolder) {
  EXPECT_FALSE(check().wrong_folder);
  std::filesystem::create_directories(world_.path("empty"));
  DataCheckOptions options;
  options.data = world_.data();
  options.images = world_.path("empty");
  const DataReport report = check_data(world_.model().config(), world_.tokenizer(), options);
  ASSERT_TRUE(report.wrong_folder);
  EXPECT_THAT(report.wrong_folder->what(), testing::HasSubstr("none of its pictures exists"));
  EXPECT_THAT(report.wrong_folder->hint(), testing::HasSubstr("`images` " + world_.images().string()));
  EXPECT_EQ(report.bad.at(BadReason::kMissingImage).count, 40);
}

TEST_F(DataCheckTest, CountsWhatIsCut) {
  const DataReport report = check(200);
  EXPECT_GT(report.truncated, 0);
  EXPECT_LT(report.truncated, report.good);
  EXPECT_EQ(report.longest, 200);
}

TEST_F(DataCheckTest, RealDataIsGood) {
  for (const char* name : {"nlvr_qa_val.json", "nlvr_tf_val.json", "bccd_train.json", "bccd_val.json"}) {
    DataCheckOptions options;
    options.images = test::testdata("train_data");
    options.data = options.images / name;
    options.preprocess = preprocess_config(world_.model().config(), {});
    const DataReport report = check_data(world_.model().config(), world_.tokenizer(), options);
    EXPECT_EQ(report.bad_count(), 0) << name;
    EXPECT_EQ(report.with_images, report.samples) << name;
    EXPECT_TRUE(report.duplicate_ids.empty()) << name;
  }
}

}  // namespace
}  // namespace striate
