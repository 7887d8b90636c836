#include "striate/mini/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/image/image.h"
#include "striate/mini/render.h"
#include "tests/support/paths.h"

namespace striate::mini {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class Dataset : public testing::Test {
 protected:
  fs::path out(const std::string& name = "d") const { return folder_.path() / name; }
  json read(const std::string& file, const std::string& name = "d") const {
    return json::parse(read_file(out(name) / file));
  }
  std::string refusal(const DatasetOptions& options, const std::string& name = "d") const {
    try {
      write_dataset(options, out(name));
      return "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return cat(error.what(), " | ", error.hint());
    }
  }

  test::TemporaryFolder folder_;
};

DatasetOptions small() {
  DatasetOptions options;
  options.train = 30;
  options.held_out = 20;
  options.text = 40;
  options.seed = 3;
  return options;
}

TEST_F(Dataset, HoldsConversationsAboutPicturesThatAreThere) {
  const DatasetReport report = write_dataset(small(), out());
  const json train = read("train.json"), align = read("align.json"), held_out = read("held_out.json");
  ASSERT_EQ(train.size(), 30U);
  ASSERT_EQ(align.size(), 30U);
  std::set<std::string> ids;
  std::size_t questions = 0;
  for (const json* file : {&train, &align, &held_out}) {
    for (const json& sample : *file) {
      const Image image = load_image(out() / sample["image"].get<std::string>());
      EXPECT_EQ(image.width, 4 * kCellPixels);
      const json& turns = sample["conversations"];
      ASSERT_EQ(turns.size() % 2, 0U);
      EXPECT_TRUE(turns[0]["value"].get<std::string>().starts_with("<image>"));
      for (std::size_t i = 0; i < turns.size(); ++i) {
        EXPECT_EQ(turns[i]["from"], i % 2 == 0 ? "human" : "gpt");
        EXPECT_FALSE(turns[i]["value"].get<std::string>().empty());
        EXPECT_EQ(turns[i]["value"].get<std::string>().find("<image>"), i == 0 ? 0 : std::string::npos);
      }
      EXPECT_TRUE(ids.insert(cat(file == &align ? "align " : "", sample["id"].get<std::string>())).second);
      if (file == &train) questions += turns.size() / 2;
      EXPECT_TRUE(file != &held_out || turns.size() == 2U);
    }
  }
  std::size_t reported = 0;
  for (const auto& [family, count] : report.train) reported += static_cast<std::size_t>(count.questions);
  EXPECT_EQ(reported, questions);
  const json world = read("world.json");
  EXPECT_EQ(world["seed"], 3);
  EXPECT_EQ(world["train_pictures"], 30);
  EXPECT_EQ(world["held_out_majority"], majority_share(report.held_out));
  EXPECT_EQ(world["train"]["color"]["questions"], report.train.at("color").questions);
}

TEST(Majority, CountsTheCommonestAnswerOfEachFamily) {
  FamilyCount even{.questions = 4, .answers = {{"yes", 2}, {"no", 2}}};
  FamilyCount odd{.questions = 6, .answers = {{"red", 5}, {"blue", 1}}};
  EXPECT_EQ(even.majority_share(), 0.5);
  EXPECT_DOUBLE_EQ(majority_share({{"exist", even}, {"color", odd}}), 0.7);
  EXPECT_EQ(majority_share({}), 0);
}

TEST_F(Dataset, TextHasScenesInWordsAndNoPicture) {
  write_dataset(small(), out());
  const json text = read("text.json");
  ASSERT_EQ(text.size(), 40U);
  EXPECT_EQ(read("text_held_out.json").size(), 4U);
  int scenes = 0;
  for (const json& sample : text) {
    EXPECT_FALSE(sample.contains("image"));
    scenes += sample["conversations"][0]["value"].get<std::string>().starts_with("Scene: ") ? 1 : 0;
  }
  EXPECT_GT(scenes, 20);
  EXPECT_LT(scenes, 40);
}

// Answers of a file by the family that an id names, of samples of one question.
std::map<std::string, std::map<std::string, int>> answers_by_family(const json& samples) {
  std::map<std::string, std::map<std::string, int>> out;
  for (const json& sample : samples) {
    const std::vector<std::string> id = split(sample["id"].get<std::string>(), '-');
    ++out[id.at(2)][sample["conversations"][1]["value"].get<std::string>()];
  }
  return out;
}

TEST_F(Dataset, YesAndNoAreExactlyEvenInEveryFile) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    DatasetOptions options = small();
    options.test = 31;
    options.text = 333;
    options.seed = seed;
    const std::string name = cat("s", seed);
    const DatasetReport report = write_dataset(options, out(name));
    for (const Family family : {Family::kExist, Family::kCompare, Family::kRelation}) {
      for (const auto* part : {&report.train, &report.held_out, &report.test}) {
        const auto count = part->find(family_name(family));
        if (count == part->end()) continue;
        EXPECT_EQ(count->second.answers.at("yes"), count->second.answers.at("no"));
      }
    }
    for (const char* file : {"held_out.json", "test.json", "text_held_out.json", "text_test.json"}) {
      auto answers = answers_by_family(read(file, name));
      for (const char* family : {"exist", "compare", "relation", "logic"}) {
        EXPECT_EQ(answers[family]["yes"], answers[family]["no"]) << file << ' ' << family;
      }
    }
    // Of conversations the families show in the words alone: all yes-or-no questions of a file together.
    for (const char* file : {"train.json", "text.json"}) {
      std::map<std::string, int> answers;
      for (const json& sample : read(file, name)) {
        for (const json& turn : sample["conversations"]) ++answers[turn["value"].get<std::string>()];
      }
      EXPECT_EQ(answers["yes"], answers["no"]) << file;
      EXPECT_GT(answers["yes"], 5) << file;
    }
  }
}

TEST_F(Dataset, TestAndHeldOutPartsAskOneQuestionASampleAndTheirFamiliesEvenly) {
  DatasetOptions options = small();
  options.test = 200;
  options.text = 600;
  const DatasetReport report = write_dataset(options, out());
  EXPECT_EQ(report.test_pictures, 200);
  EXPECT_TRUE(fs::exists(out() / "test/000199.png"));
  EXPECT_EQ(report.test.size(), visual_families().size());
  for (const auto& [family, count] : report.test) EXPECT_GE(count.questions, 14) << family;  // its turns: 200 / 13
  for (const char* file : {"test.json", "held_out.json", "text_test.json", "text_held_out.json"}) {
    for (const json& sample : read(file)) EXPECT_EQ(sample["conversations"].size(), 2U) << file;
  }
  const auto texts = answers_by_family(read("text_test.json"));
  for (const char* family : {"facts", "sum", "string", "logic", "exist", "ocr"}) {
    EXPECT_TRUE(texts.contains(family)) << family;
  }
  EXPECT_FALSE(fs::exists(out("none") / "test"));
  write_dataset(small(), out("none"));
  EXPECT_FALSE(fs::exists(out("none") / "test.json"));
  EXPECT_FALSE(fs::exists(out("none") / "text_test.json"));
}

TEST_F(Dataset, PartsShareNoSceneOrString) {
  DatasetOptions options = small();
  options.world = {.grid = 2, .max_objects = 1, .label_share = 0, .small_objects = false};
  options.families = {Family::kColor};
  options.test = 50;
  options.text = 3000;
  write_dataset(options, out());
  std::map<std::string, std::set<std::string>> asked;
  for (const char* file : {"text.json", "text_held_out.json", "text_test.json"}) {
    for (const json& sample : read(file)) {
      const std::string first = sample["conversations"][0]["value"].get<std::string>();
      if (first.starts_with("Scene: ")) {
        asked[file].insert(first.substr(0, first.find('\n')));
        continue;
      }
      for (std::size_t i = 0; i < sample["conversations"].size(); i += 2) {
        const std::string text = sample["conversations"][i]["value"].get<std::string>();
        if (text.find("letter") != std::string::npos || text.starts_with("Reverse")) asked[file].insert(text);
      }
    }
    EXPECT_GT(asked[file].size(), 30U) << file;
  }
  std::set<std::string> all;
  std::size_t sum = 0;
  for (const auto& [file, texts] : asked) {
    all.insert(texts.begin(), texts.end());
    sum += texts.size();
  }
  EXPECT_EQ(all.size(), sum);
}

TEST_F(Dataset, TheSeedDecidesEveryByte) {
  write_dataset(small(), out("a"));
  write_dataset(small(), out("b"));
  DatasetOptions other = small();
  other.seed = 4;
  write_dataset(other, out("c"));
  for (const char* file : {"train.json", "align.json", "held_out.json", "text.json", "world.json", "train/000007.png",
                           "held_out/000007.png"}) {
    EXPECT_EQ(read_file(out("a") / file), read_file(out("b") / file)) << file;
    EXPECT_NE(read_file(out("a") / file), read_file(out("c") / file)) << file;
  }
}

TEST_F(Dataset, MoreSamplesLeaveTheFirstOnesAsTheyWere) {
  write_dataset(small(), out("a"));
  DatasetOptions more = small();
  more.train = 35;
  more.held_out = 25;
  write_dataset(more, out("b"));
  EXPECT_EQ(read("train.json", "a")[3], read("train.json", "b")[3]);  // the last ones make yes and no even
  EXPECT_EQ(read("align.json", "a")[29], read("align.json", "b")[29]);
  EXPECT_EQ(read("held_out.json", "a")[3], read("held_out.json", "b")[3]);
  EXPECT_EQ(read_file(out("a") / "train/000029.png"), read_file(out("b") / "train/000029.png"));
}

TEST_F(Dataset, FamiliesAreThoseThatWereChosen) {
  DatasetOptions options = small();
  options.families = {Family::kCompare, Family::kOcr};
  options.text_families = {};
  const DatasetReport report = write_dataset(options, out());
  EXPECT_EQ(report.train.size() + report.held_out.size(), 4U);
  for (const json& sample : read("text.json")) {
    EXPECT_TRUE(sample["conversations"][0]["value"].get<std::string>().starts_with("Scene: "));
  }
}

TEST_F(Dataset, AFamilyThatFewScenesAllowIsAskedOfEachSample) {
  DatasetOptions rare = small();  // fewer than one in ten of these scenes allows to compare
  rare.world.grid = 3;
  rare.world.max_objects = 3;
  rare.families = {Family::kCompare};
  rare.text_families = {};
  rare.text = 1000;
  rare.train = rare.held_out = 0;
  rare.seed = 8;
  EXPECT_EQ(refusal(rare), "accepted");
  EXPECT_EQ(read("text.json").size(), 1000U);
  DatasetOptions labels = small();  // one scene in a hundred has a label
  labels.world.label_share = 0.01;
  labels.families = {Family::kOcr};
  EXPECT_EQ(refusal(labels, "labels"), "accepted");
  EXPECT_EQ(read("train.json", "labels").size(), 30U);
  EXPECT_EQ(read("held_out.json", "labels").size(), 20U);
}

TEST_F(Dataset, MistakesAreRefusedAndNothingIsLeft) {
  DatasetOptions options = small();
  options.families = {Family::kOcr};
  options.world.label_share = 0;
  EXPECT_THAT(refusal(options), HasSubstr("no scene of this world suits the question families: ocr"));
  options = small();
  options.families = {};
  EXPECT_THAT(refusal(options), HasSubstr("no question family"));
  options.families = {Family::kSum};
  EXPECT_THAT(refusal(options), HasSubstr("\"sum\" does not ask about pictures"));
  options = small();
  options.train = -1;
  EXPECT_THAT(refusal(options), HasSubstr("training pictures: -1"));
  options = small();
  options.test = -1;
  EXPECT_THAT(refusal(options), HasSubstr("test pictures: -1"));
  options.train = options.held_out = options.test = options.text = 0;
  EXPECT_THAT(refusal(options), HasSubstr("no pictures and no texts"));
  options = small();
  options.questions = 0;
  EXPECT_THAT(refusal(options), HasSubstr("questions about a picture: 0"));
  options = small();
  options.world.grid = 9;
  EXPECT_THAT(refusal(options), HasSubstr("a grid of 9"));
  EXPECT_TRUE(fs::is_empty(folder_.path()));

  fs::create_directory(out());
  write_file(out() / "mine.txt", "mine");
  EXPECT_THAT(refusal(small()), HasSubstr("not empty"));
  EXPECT_EQ(read_file(out() / "mine.txt"), "mine");
}

TEST_F(Dataset, ProgressReachesItsTotal) {
  std::int64_t last = 0, end = 0;
  write_dataset(small(), out(), [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(done, last + 1);
    last = done;
    end = total;
  });
  EXPECT_EQ(last, 50);
  EXPECT_EQ(end, 50);
}

}  // namespace
}  // namespace striate::mini
