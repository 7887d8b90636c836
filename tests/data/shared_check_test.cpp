#include "striate/data/shared_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "striate/data/images_folder.h"
#include "striate/model/picture_settings.h"
#include "tests/data/local_exchange.h"
#include "tests/data/small_world.h"

namespace striate {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class SharedCheckTest : public testing::Test {
 protected:
  struct Found {
    std::vector<CheckedSample> samples;
    std::string error;
  };
  // What each rank gets; `files` are the data files that they read.
  std::vector<Found> on_ranks(const std::vector<std::filesystem::path>& files, std::int64_t count) {
    const auto group = std::make_shared<test::LocalGroup>(files.size());
    std::vector<Found> found(files.size());
    std::vector<std::thread> threads;
    for (std::size_t rank = 0; rank < files.size(); ++rank) {
      threads.emplace_back([&, rank] {
        test::LocalExchange exchange(group, static_cast<int>(rank));
        const Dataset data(files[rank]);
        PictureChecker pictures(folder());
        WorkerPool pool(2);
        std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
        std::iota(indices.begin(), indices.end(), 0);
        try {
          found[rank].samples = check_shared(data, encoder(), pictures, pool, indices, exchange, {});
        } catch (const Error& error) {
          found[rank].error = error.what();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return found;
  }
  PictureFolder folder() const { return {world_.images(), preprocess_config(world_.model().config(), {})}; }
  SampleEncoder encoder() const { return {world_.model().config(), world_.tokenizer(), TemplateKind::kVicunaV1, 1024}; }

  test::SmallWorld world_{23};
};

TEST_F(SharedCheckTest, EveryRankLearnsWhatOneAloneWouldFindAndChecksItsShare) {
  json samples = world_.samples();
  samples[4]["image"] = "lost.bmp";
  samples[9]["conversations"].erase(1);
  samples[11]["conversations"] = 7;
  world_.write_data(samples);
  const std::vector<CheckedSample> alone = on_ranks({world_.data()}, 23)[0].samples;
  const std::vector<Found> found = on_ranks({world_.data(), world_.data(), world_.data()}, 23);
  for (std::size_t rank = 0; rank < found.size(); ++rank) {
    ASSERT_EQ(found[rank].error, "");
    ASSERT_EQ(found[rank].samples.size(), alone.size());
    for (std::size_t i = 0; i < alone.size(); ++i) {
      SCOPED_TRACE(i);
      const CheckedSample& here = found[rank].samples[i];
      EXPECT_EQ(here.index, alone[i].index);
      ASSERT_EQ(here.bad.has_value(), alone[i].bad.has_value());
      if (here.bad) {
        EXPECT_EQ(here.bad->message, alone[i].bad->message);
        EXPECT_EQ(here.bad->hint, alone[i].bad->hint);
        EXPECT_EQ(here.bad->reason, alone[i].bad->reason);
        EXPECT_EQ(here.bad->line, alone[i].bad->line);
        EXPECT_EQ(here.bad->id, alone[i].bad->id);
        continue;
      }
      EXPECT_EQ(here.sample.tokens, alone[i].sample.tokens);
      EXPECT_EQ(here.sample.targets, alone[i].sample.targets);
      EXPECT_EQ(here.sample.input_ids.empty(), i % found.size() != rank);
      EncodedSample whole = here.sample;
      complete_sample(Dataset(world_.data()), encoder(), here.index, whole);
      EXPECT_EQ(whole.input_ids, alone[i].sample.input_ids);
      EXPECT_EQ(whole.labels, alone[i].sample.labels);
      EXPECT_EQ(whole.images, alone[i].sample.images);
    }
  }
}

TEST_F(SharedCheckTest, RanksCountTokensTogetherAsOneAloneDoes) {
  json samples = world_.samples();
  samples[9]["conversations"].erase(1);
  world_.write_data(samples);
  const Dataset data(world_.data());
  WorkerPool pool(2);
  const std::vector<std::int64_t> alone = token_counts(data, encoder(), pool, nullptr);
  ASSERT_EQ(alone.size(), 23U);
  for (std::int64_t i = 0; i < data.size(); ++i) {
    const std::int64_t expected = i == 9 ? 0 : encoder().encode(data.read(i), {}).tokens;
    EXPECT_EQ(alone[static_cast<std::size_t>(i)], expected) << i;
  }
  constexpr std::size_t kRanks = 3;
  const auto group = std::make_shared<test::LocalGroup>(kRanks);
  std::vector<std::vector<std::int64_t>> counts(kRanks);
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < kRanks; ++rank) {
    threads.emplace_back([&, rank] {
      test::LocalExchange exchange(group, static_cast<int>(rank));
      WorkerPool own(1);
      counts[rank] = token_counts(data, encoder(), own, &exchange);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<std::int64_t>& each : counts) EXPECT_EQ(each, alone);
}

TEST_F(SharedCheckTest, ASampleThatAnotherRankReadOtherwiseIsNoticed) {
  EncodedSample told;
  told.tokens = 7;
  told.targets = 3;
  try {
    complete_sample(Dataset(world_.data()), encoder(), 2, told);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("sample 2"));
    EXPECT_THAT(error.what(), HasSubstr("another rank reads a different text here"));
  }
}

TEST_F(SharedCheckTest, AFolderIsAskedAboutOnlyWhereNoPictureIsThere) {
  const Dataset data(world_.data());
  EXPECT_FALSE(wrong_images_folder(data, folder()));
  const PictureFolder other(world_.path("tokenizer"), folder().config());
  const auto wrong = wrong_images_folder(data, other);
  ASSERT_TRUE(wrong);
  EXPECT_EQ(wrong->exit_code(), 2);
  EXPECT_THAT(wrong->what(), HasSubstr("data.json: none of its pictures exists"));
  EXPECT_THAT(wrong->hint(), HasSubstr("`images` " + world_.images().string() + " has p"));
  const auto forgotten = wrong_images_folder(data, PictureFolder({}, folder().config()));
  ASSERT_TRUE(forgotten);
  EXPECT_THAT(forgotten->hint(), HasSubstr("give the folder that the pictures' names are relative to"));
  // One picture alone may well be missing.
  world_.write_data(json::array({test::sample_json("a", "lost.bmp", "q", "b")}));
  EXPECT_FALSE(wrong_images_folder(Dataset(world_.data()), other));
}

}  // namespace
}  // namespace striate
