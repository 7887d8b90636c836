#include "striate/data/step_source.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/data/planned_steps.h"
#include "striate/data/sample_order.h"
#include "striate/model/picture_settings.h"
#include "tests/data/local_exchange.h"
#include "tests/data/small_world.h"
#include "tests/support/errors.h"
#include "tests/support/tiny_model.h"

namespace striate {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// The same pictures' features, looked at in other company: products of another number of rows round otherwise.
void expect_same_features(const at::Tensor& got, const at::Tensor& expected) {
  ASSERT_EQ(got.sizes(), expected.sizes());
  EXPECT_LT((got - expected).norm().item<double>(), 1e-5 * expected.norm().item<double>());
}

// What one sample of a stream holds, as text: its tokens, targets and features.
std::map<std::uint64_t, std::string> samples_of(const PackedBatch& batch) {
  std::map<std::uint64_t, std::string> samples;
  const at::Tensor bounds = batch.cu_seqlens.to(at::kLong);
  for (std::int64_t s = 0; s < batch.samples(); ++s) {
    const std::int64_t begin = bounds[s].item<std::int64_t>();
    const std::int64_t end = bounds[s + 1].item<std::int64_t>();
    const at::Tensor targets = batch.targets.masked_select((batch.target_slots >= begin) & (batch.target_slots < end));
    std::string text = cat(batch.token_ids.slice(0, begin, end), targets);
    if (batch.image_features.defined()) {
      const at::Tensor mine = (batch.image_slots >= begin) & (batch.image_slots < end);
      const at::Tensor rows = batch.image_features.index({mine}).to(at::kDouble);
      text += cat(rows.size(0), " ", rows.sum().item<double>(), " ", rows.abs().sum().item<double>());
    }
    if (!batch.image_features.defined()) text += "0 0 0";
    samples[batch.sample_keys[static_cast<std::size_t>(s)]] = text;
  }
  return samples;
}

// A step without how it was packed.
struct Content {
  std::map<std::uint64_t, std::string> samples;
  std::int64_t targets, tokens, count;
  DataPosition after;
  bool operator==(const Content&) const = default;
};

Content content_of(const TrainingStep& step) {
  Content content{{}, step.targets, step.tokens, step.samples, step.after};
  for (const PackedBatch& batch : step.streams) content.samples.merge(samples_of(batch));
  return content;
}

void expect_equal_tensors(const at::Tensor& a, const at::Tensor& b) {
  ASSERT_EQ(a.defined(), b.defined());
  EXPECT_TRUE(!a.defined() || at::equal(a, b));
}

void expect_identical(const TrainingStep& a, const TrainingStep& b) {
  EXPECT_EQ(content_of(a), content_of(b));
  EXPECT_EQ(a.sample_names, b.sample_names);
  ASSERT_EQ(a.streams.size(), b.streams.size());
  for (std::size_t i = 0; i < a.streams.size(); ++i) {
    expect_equal_tensors(a.streams[i].token_ids, b.streams[i].token_ids);
    expect_equal_tensors(a.streams[i].cu_seqlens, b.streams[i].cu_seqlens);
    expect_equal_tensors(a.streams[i].image_features, b.streams[i].image_features);
    expect_equal_tensors(a.streams[i].image_slots, b.streams[i].image_slots);
    expect_equal_tensors(a.streams[i].targets, b.streams[i].targets);
    expect_equal_tensors(a.streams[i].target_slots, b.streams[i].target_slots);
    EXPECT_EQ(a.streams[i].sample_keys, b.streams[i].sample_keys);
  }
}

class StepSourceTest : public testing::Test {
 protected:
  std::unique_ptr<StepSource> open(const StepSourceOptions& options, const DataPosition& start = {}) const {
    return open_step_source(world_.model(), world_.tokenizer(), options, start);
  }
  std::vector<TrainingStep> steps(const StepSourceOptions& options, int count, const DataPosition& start = {}) const {
    const auto source = open(options, start);
    std::vector<TrainingStep> steps;
    for (int i = 0; i < count; ++i) steps.push_back(source->next());
    return steps;
  }
  StepSourceOptions by_tokens() const {
    StepSourceOptions options = world_.options();
    options.batch = 0;
    options.tokens_per_step = 2000;
    return options;
  }
  // Sample 7 loses its picture, sample 10's is cut off in its middle, 12 has no answer.
  void spoil() const {
    json samples = world_.samples();
    samples[7]["image"] = "lost.bmp";
    samples[10]["image"] = "half.bmp";
    samples[12]["conversations"].erase(1);
    world_.write_image("half.bmp", test::bmp_picture(20, 20, 1).substr(0, 700));
    world_.write_data(samples);
  }

  test::SmallWorld world_{50};
};

TEST_F(StepSourceTest, EachSampleComesOnceAnEpochInStepsOfTheBatch) {
  const auto source = open(world_.options());
  EXPECT_EQ(source->samples_per_epoch(), 50);
  EXPECT_EQ(source->steps_per_epoch(), 13);
  std::map<std::uint64_t, int> times;
  for (int i = 0; i < 25; ++i) {  // two epochs
    const TrainingStep step = source->next();
    EXPECT_EQ(step.samples, 4);
    EXPECT_EQ(step.after.seen_samples, 4 * (i + 1));
    std::int64_t tokens = 0;
    std::int64_t targets = 0;
    for (const PackedBatch& batch : step.streams) {
      EXPECT_LE(batch.tokens(), world_.options().tokens_per_stream);
      tokens += batch.tokens();
      targets += batch.targets.size(0);
      for (const std::uint64_t key : batch.sample_keys) ++times[key];
    }
    EXPECT_EQ(step.tokens, tokens);
    EXPECT_EQ(step.targets, targets);
    EXPECT_EQ(content_of(step).samples.size(), 4U);
  }
  EXPECT_EQ(times.size(), 100U);
  for (std::uint64_t epoch = 0; epoch < 2; ++epoch) {
    for (std::uint64_t i = 0; i < 50; ++i) EXPECT_EQ(times[(epoch << 40) | i], 1);
  }
}

TEST_F(StepSourceTest, StreamsHoldWhatTheTowerSaw) {
  const auto source = open(world_.options());
  const PreprocessConfig pixels = preprocess_config(world_.model().config(), {});
  std::int64_t pictures = 0;
  for (int i = 0; i < 5; ++i) {
    for (const PackedBatch& batch : source->next().streams) {
      std::vector<at::Tensor> expected;
      for (const std::uint64_t key : batch.sample_keys) {
        const json sample = world_.samples().at(key & 0xFFFFFFFF);
        if (!sample.contains("image")) continue;
        const auto values = preprocess(load_image(world_.images() / sample["image"].get<std::string>()), pixels);
        expected.push_back(world_.model().vision_features(at::tensor(values).view({1, 3, 28, 28}))[0]);
        ++pictures;
      }
      ASSERT_EQ(batch.image_features.defined(), !expected.empty());
      if (!expected.empty()) expect_same_features(batch.image_features, at::cat(expected));
      EXPECT_EQ(world_.model().target_nll(world_.model().forward(batch), batch).size(0), batch.targets.size(0));
    }
  }
  EXPECT_GT(pictures, 5);
}

TEST_F(StepSourceTest, StepsHaveAboutTheSameTokens) {
  for (const StepSourceOptions& options : {by_tokens(), world_.options()}) {
    std::int64_t least = 1 << 30;
    std::int64_t most = 0;
    for (const TrainingStep& step : steps(options, 12)) {
      least = std::min(least, step.tokens);
      most = std::max(most, step.tokens);
    }
    EXPECT_LT(static_cast<double>(most), 1.15 * static_cast<double>(least));
    EXPECT_TRUE(options.batch > 0 || (most <= options.tokens_per_step && most > options.tokens_per_step * 4 / 5))
        << most;
  }
}

// As many steps as hold the samples, and not one more.
TEST_F(StepSourceTest, StepsOfEpochsByTokensHoldEverySampleOfThem) {
  json samples = world_.samples();
  samples[12]["conversations"].erase(1);  // is left out
  world_.write_data(samples);
  StepSourceOptions options = by_tokens();
  options.on_bad_sample = OnBadSample::kSkip;
  options.max_bad_share = 0.1;
  for (const std::int64_t budget : {1024, 1300, 2000, 5000, 60000}) {
    options.tokens_per_step = budget;
    for (const double epochs : {0.5, 1.0, 2.0, 3.0}) {
      SCOPED_TRACE(cat(budget, " tokens, ", epochs, " epochs"));
      const auto whole = static_cast<std::int64_t>(epochs);
      std::set<std::pair<std::int64_t, std::int64_t>> missing;
      for (std::int64_t epoch = 0; epoch < std::max<std::int64_t>(1, whole); ++epoch) {
        const std::vector<std::uint32_t> order = epoch_order(50, options.seed, epoch, options.shuffle);
        const std::size_t count = whole == 0 ? 25 : 50;
        for (std::size_t i = 0; i < count; ++i) {
          if (order[i] != 12) missing.emplace(epoch, static_cast<std::int64_t>(order[i]));
        }
      }
      PlannedSteps planned(world_.model().config(), world_.tokenizer(), options, {});
      const std::int64_t steps = planned.steps_of(epochs, nullptr);
      std::int64_t taken = 0;
      while (!missing.empty() && taken < 1000) {
        planned.wait();
        const RankStep step = planned.take();
        planned.plan_ahead();
        ++taken;
        for (const auto& stream : step.streams) {
          for (const PlannedSample& sample : stream) missing.erase(std::pair(sample.epoch, sample.index));
        }
      }
      EXPECT_EQ(steps, taken);
    }
  }
}

TEST_F(StepSourceTest, AnySeedGivesItsOwnOrderAndNoShufflingTheFiles) {
  StepSourceOptions other = world_.options();
  other.seed = 1;
  EXPECT_NE(content_of(steps(world_.options(), 1)[0]).samples, content_of(steps(other, 1)[0]).samples);
  other.shuffle = false;
  other.batch = 50;
  std::uint64_t expected = 0;
  for (const auto& [key, text] : content_of(steps(other, 1)[0]).samples) EXPECT_EQ(key, expected++);
}

TEST_F(StepSourceTest, AnyNumberOfRanksAndThreadsTakesTheSameSteps) {
  for (StepSourceOptions options : {by_tokens(), world_.options()}) {
    const std::vector<TrainingStep> whole = steps(options, 30);
    for (const int ranks : {2, 3, 7}) {
      std::vector<std::vector<TrainingStep>> shares;
      for (int rank = 0; rank < ranks; ++rank) {
        options.rank = rank;
        options.ranks = ranks;
        options.threads = 1 + rank;
        shares.push_back(steps(options, 30));
      }
      for (std::size_t i = 0; i < whole.size(); ++i) {
        Content joined = content_of(shares[0][i]);
        std::size_t count = joined.samples.size();
        for (int rank = 1; rank < ranks; ++rank) {
          Content part = content_of(shares[static_cast<std::size_t>(rank)][i]);
          count += part.samples.size();
          joined.samples.merge(part.samples);
          EXPECT_EQ(part.targets, joined.targets);
          EXPECT_EQ(part.tokens, joined.tokens);
          EXPECT_EQ(part.after, joined.after);
        }
        EXPECT_EQ(joined, content_of(whole[i])) << ranks << " ranks, step " << i;
        EXPECT_EQ(count, joined.samples.size()) << "a sample on two ranks";
      }
    }
  }
}

TEST_F(StepSourceTest, AResumedRunGoesOnBitForBit) {
  spoil();
  for (StepSourceOptions options : {by_tokens(), world_.options()}) {
    options.on_bad_sample = OnBadSample::kSkip;
    options.max_bad_share = 0.1;
    options.feature_cache_bytes = 1500;  // some features stay, some do not
    const std::vector<TrainingStep> whole = steps(options, 45);
    for (const std::size_t at : {0U, 1U, 7U, 24U, 31U, 32U, 33U, 44U}) {
      const DataPosition start = at == 0 ? DataPosition{} : whole[at - 1].after;
      const auto source = open(options, start);
      EXPECT_EQ(source->steps_per_epoch(), open(options)->steps_per_epoch());
      for (std::size_t i = at; i < whole.size(); ++i) expect_identical(source->next(), whole[i]);
    }
  }
}

TEST_F(StepSourceTest, AnotherNumberOfRanksResumesTheSameSteps) {
  StepSourceOptions options = world_.options();
  options.ranks = 2;
  const DataPosition start = steps(options, 9).back().after;
  options.ranks = 1;
  const std::vector<TrainingStep> whole = steps(options, 14);
  const std::vector<TrainingStep> resumed = steps(options, 5, start);
  for (std::size_t i = 0; i < resumed.size(); ++i) expect_identical(resumed[i], whole[9 + i]);
}

// Steps, their samples and what is skipped are those of ranks that check everything themselves.
TEST_F(StepSourceTest, RanksThatShareTheCheckingTakeTheSameSteps) {
  spoil();
  for (const bool tokens : {false, true}) {
    StepSourceOptions options = tokens ? by_tokens() : world_.options();
    options.on_bad_sample = OnBadSample::kSkip;
    options.max_bad_share = 0.1;
    options.ranks = 2;
    const auto group = std::make_shared<test::LocalGroup>(2);
    std::vector<std::vector<TrainingStep>> shared(2);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        StepSourceOptions mine = options;
        mine.rank = rank;
        mine.exchange = std::make_shared<test::LocalExchange>(group, rank);
        shared[static_cast<std::size_t>(rank)] = steps(mine, 20);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (int rank = 0; rank < 2; ++rank) {
      options.rank = rank;
      const std::vector<TrainingStep> alone = steps(options, 20);
      const std::vector<TrainingStep>& here = shared[static_cast<std::size_t>(rank)];
      ASSERT_EQ(here.size(), alone.size());
      for (std::size_t i = 0; i < alone.size(); ++i) {
        expect_identical(here[i], alone[i]);
        EXPECT_EQ(here[i].after, alone[i].after);
        EXPECT_EQ(here[i].tokens, alone[i].tokens);
        EXPECT_EQ(here[i].targets, alone[i].targets);
      }
    }
  }
}

TEST_F(StepSourceTest, WhereNoPictureIsThereTheFolderIsAskedAbout) {
  std::filesystem::create_directories(world_.path("empty"));
  StepSourceOptions options = world_.options();
  options.images = world_.path("empty");
  for (const OnBadSample on_bad : {OnBadSample::kStop, OnBadSample::kSkip}) {
    options.on_bad_sample = on_bad;
    try {
      steps(options, 13);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_THAT(error.what(), HasSubstr("none of its pictures exists"));
      EXPECT_THAT(error.hint(), HasSubstr("`images`"));
    }
  }
}

TEST_F(StepSourceTest, ABadSampleStopsWithItsNameAndPlace) {
  spoil();
  StepSourceOptions options = world_.options();
  options.shuffle = false;
  const auto source = open(options);
  for (int again = 0; again < 2; ++again) {
    try {
      source->next();
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_THAT(error.what(), HasSubstr("data.json: sample 7 (line "));
      EXPECT_THAT(error.what(), HasSubstr("lost.bmp: no such file"));
      EXPECT_THAT(error.hint(), HasSubstr("check the images folder (`images`); `on_bad_sample` skip"));
    }
  }
}

TEST_F(StepSourceTest, BadSamplesAreSkippedCountedAndListedOnce) {
  spoil();
  StepSourceOptions options = world_.options();
  options.on_bad_sample = OnBadSample::kSkip;
  options.max_bad_share = 0.1;
  options.bad_samples_file = world_.path("bad_samples.jsonl");
  std::set<std::uint64_t> seen;
  DataPosition after;
  for (const TrainingStep& step : steps(options, 47)) {  // four epochs of 47 good samples each
    EXPECT_EQ(step.samples, 4);
    for (const auto& [key, text] : content_of(step).samples) seen.insert(key);
    after = step.after;
  }
  EXPECT_EQ(seen.size(), 4U * 47U);
  for (const std::uint64_t bad : {7, 10, 12}) EXPECT_FALSE(seen.contains(bad));
  EXPECT_GE(after.bad_samples, 12);
  steps(options, 3, after);  // a resumed run lists nothing again
  std::map<std::int64_t, json> listed;
  for (const std::string& line : split(read_file(options.bad_samples_file), '\n')) {
    if (line.empty()) continue;
    const json entry = json::parse(line);
    EXPECT_TRUE(listed.emplace(entry["sample"], entry).second);
  }
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed[7]["reason"], "missing image");
  EXPECT_EQ(listed[10]["reason"], "broken image");
  EXPECT_EQ(listed[12]["reason"], "no targets");
  EXPECT_THAT(listed[10]["message"].get<std::string>(), HasSubstr("half.bmp"));
  EXPECT_THAT(listed[7]["hint"].get<std::string>(), HasSubstr("`images`"));
  EXPECT_THAT(listed[12]["hint"].get<std::string>(), HasSubstr("give the sample an answer"));
}

TEST_F(StepSourceTest, SamplesOfAFractionHaveTheNumbersOfTheFile) {
  json samples = world_.samples();
  for (std::size_t i = 0; i < samples.size(); i += 3) samples[i]["conversations"].erase(1);
  world_.write_data(samples);
  StepSourceOptions options = world_.options();
  options.fraction = 0.5;
  options.on_bad_sample = OnBadSample::kSkip;
  options.max_bad_share = 1;
  options.bad_samples_file = world_.path("bad_samples.jsonl");
  int named = 0;
  for (const TrainingStep& step : steps(options, 5)) {
    for (const auto& stream : step.sample_names) {
      for (const std::string& name : stream) {
        const std::string id = name.substr(2, name.find("',") - 2);  // 's17', sample 17 (line 200)
        EXPECT_THAT(name, HasSubstr(cat("'s", id, "', sample ", id, " (line ")));
        ++named;
      }
    }
  }
  EXPECT_EQ(named, 20);
  int listed = 0;
  for (const std::string& line : split(read_file(options.bad_samples_file), '\n')) {
    if (line.empty()) continue;
    const json entry = json::parse(line);
    EXPECT_EQ(entry["id"], cat("s", entry["sample"].get<std::int64_t>()));
    ++listed;
  }
  EXPECT_GT(listed, 2);
}

TEST_F(StepSourceTest, TooManyBadSamplesStopTheRun) {
  spoil();
  StepSourceOptions options = world_.options();
  options.on_bad_sample = OnBadSample::kSkip;
  options.max_bad_share = 0.05;
  try {
    steps(options, 13);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("3 bad samples among the first "));
    EXPECT_THAT(error.what(), HasSubstr("at most 5% may be skipped"));
    EXPECT_THAT(error.hint(), HasSubstr("`max_bad_share`"));
  }
}

TEST_F(StepSourceTest, ADataSetWithoutAGoodSampleIsAnErrorAndNotAnEndlessSearch) {
  json samples = world_.samples();
  for (json& sample : samples) sample["conversations"].erase(1);
  world_.write_data(samples);
  for (StepSourceOptions options : {by_tokens(), world_.options()}) {
    options.on_bad_sample = OnBadSample::kSkip;
    options.max_bad_share = 1;
    const auto source = open(options);
    try {
      source->next();
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("no sample is good"));
    }
  }
}

TEST_F(StepSourceTest, AFileThatGoesWhileTrainingReachesTheCaller) {
  StepSourceOptions options = world_.options();
  options.feature_cache_bytes = 0;
  const auto source = open(options);
  source->next();
  std::filesystem::remove_all(world_.images());
  EXPECT_ERROR(
      {
        for (int i = 0; i < 200; ++i) source->next();
      },
      ".bmp: no such file");
  EXPECT_ERROR(source->next(), ".bmp: no such file");
}

TEST_F(StepSourceTest, ItCanBeClosedAtAnyMoment) {
  for (int i = 0; i < 30; ++i) {
    const auto source = open(i % 2 == 0 ? world_.options() : by_tokens());
    for (int k = 0; k < i % 5; ++k) source->next();
  }
}

TEST_F(StepSourceTest, PixelsComeInPlaceOfFeaturesOnRequest) {
  StepSourceOptions options = world_.options();
  const TrainingStep with_features = steps(options, 1)[0];
  options.pixels = true;
  const TrainingStep step = steps(options, 1)[0];
  ASSERT_EQ(step.streams.size(), with_features.streams.size());
  std::int64_t looked = 0;
  for (std::size_t i = 0; i < step.streams.size(); ++i) {
    const PackedBatch& batch = step.streams[i];
    EXPECT_FALSE(batch.image_features.defined());
    EXPECT_TRUE(at::equal(batch.image_slots, with_features.streams[i].image_slots));
    if (!batch.pixels.defined()) continue;
    ++looked;
    const at::Tensor features = world_.model().vision_features(batch.pixels).flatten(0, 1);
    expect_same_features(features, with_features.streams[i].image_features);
  }
  EXPECT_GT(looked, 0);
}

TEST_F(StepSourceTest, LongSamplesAreCutAndCounted) {
  StepSourceOptions options = world_.options();
  options.max_tokens = 195;
  options.on_bad_sample = OnBadSample::kSkip;
  options.max_bad_share = 1;
  std::int64_t truncated = 0;
  for (const TrainingStep& step : steps(options, 10)) {
    EXPECT_LE(step.tokens, 4 * 195);
    truncated = step.after.truncated_samples;
  }
  EXPECT_GT(truncated, 10);
  EXPECT_LT(truncated, 40);
}

TEST_F(StepSourceTest, RefusesWhatCannotBe) {
  const auto refused = [&](const std::function<void(StepSourceOptions&)>& change, const DataPosition& start = {}) {
    StepSourceOptions options = world_.options();
    change(options);
    try {
      open(options, start)->next();
    } catch (const Error& error) {
      EXPECT_FALSE(error.hint().empty());
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refused([](auto& o) { o.batch = 0; }), HasSubstr("either samples per step or tokens"));
  EXPECT_THAT(refused([](auto& o) { o.tokens_per_step = 9000; }), HasSubstr("either samples per step or tokens"));
  EXPECT_THAT(refused([](auto& o) { o.tokens_per_stream = 100; }), HasSubstr("`tokens_per_stream` 100"));
  EXPECT_THAT(refused([](auto& o) {
                o.batch = 0;
                o.tokens_per_step = 100;
              }),
              HasSubstr("`tokens_per_step` 100"));
  EXPECT_THAT(refused([](auto& o) { o.max_tokens = 0; }), HasSubstr("`max_tokens` 0"));
  EXPECT_THAT(refused([](auto& o) { o.threads = 0; }), HasSubstr("0 threads"));
  EXPECT_THAT(refused([](auto& o) { o.images = "absent"; }), HasSubstr("absent: no such folder for the pictures"));
  EXPECT_THAT(refused([](auto& o) { o.data = "absent.json"; }), HasSubstr("absent.json"));
  EXPECT_THAT(refused([](auto&) {}, {.window_start = 50}), HasSubstr("the file has 50"));
  EXPECT_THAT(refused([](auto&) {}, {.step_in_window = 900}), HasSubstr("step 900 of a window of"));
}

TEST_F(StepSourceTest, TextAloneTrainsAModelWithoutVision) {
  json samples = json::array();
  for (int i = 0; i < 6; ++i) samples.push_back(test::sample_json(cat(i), "", "q", "a"));
  world_.write_data(samples);
  ModelConfig blind = test::tiny_config({.vocab_size = 264});
  blind.vision.reset();
  blind.projector.reset();
  const test::TemporaryFolder folder;
  test::write_tiny_weights(folder.path() / "w.safetensors", {.vocab_size = 264});
  WeightSource weights;
  weights.add(open_safetensors(folder.path() / "w.safetensors"));
  const Lvlm model(blind, weights, Placement{});
  const auto source = open_step_source(model, world_.tokenizer(), world_.options());
  EXPECT_FALSE(source->next().streams.at(0).image_features.defined());
}

TEST(RealData, AnEpochOfNlvrAndBccdIsPlannedEvenly) {
  const test::SmallWorld world;
  StepSourceOptions options = world.options();
  options.images = test::testdata("train_data");
  options.max_tokens = 2048;
  options.tokens_per_stream = 2048;
  options.batch = 16;
  for (const char* name : {"nlvr_qa_val.json", "bccd_train.json"}) {
    options.data = options.images / name;
    const auto source = open_step_source(world.model(), world.tokenizer(), options);
    std::int64_t least = 1 << 30;
    std::int64_t most = 0;
    const std::int64_t count = source->samples_per_epoch() / options.batch;
    for (std::int64_t i = 0; i < count; ++i) {
      const TrainingStep step = source->next();
      least = std::min(least, step.tokens);
      most = std::max(most, step.tokens);
      EXPECT_EQ(step.after.bad_samples, 0);
    }
    EXPECT_LT(static_cast<double>(most), 1.1 * static_cast<double>(least)) << name;
  }
}

}  // namespace
}  // namespace striate
