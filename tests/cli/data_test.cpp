#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

// `data check` with a small model that has the tokenizer of the reference data.
class DataCheckCommand : public testing::Test {
 protected:
  void SetUp() override {
    const CommandResult made = run_command({STRIATE_PROGRAM,   "init",
                                            "--arch",          "llava-1.5-7b",
                                            "--layers",        "1",
                                            "--hidden",        "32",
                                            "--heads",         "2",
                                            "--mlp",           "48",
                                            "--vision-layers", "2",
                                            "--vision-hidden", "32",
                                            "--vision-heads",  "2",
                                            "--vision-mlp",    "48",
                                            "--image-size",    "42",
                                            "--tokenizer",     testdata("tokenizers/llama2_style").string(),
                                            "--out",           model_.string()});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  CommandResult check(const std::string& data, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {STRIATE_PROGRAM, "data", "check",    "--model",        model_.string(),
                                          "--data",        data,   "--images", images().string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_command(arguments);
  }
  fs::path images() const { return testdata("train_data"); }
  std::string good_data() const { return (images() / "bccd_val.json").string(); }
  // How many samples that file has.
  std::size_t good_samples() const { return json::parse(read_file(good_data())).size(); }
  std::string file(const std::string& name) const { return (folder_.path() / name).string(); }

  TemporaryFolder folder_;
  fs::path model_ = folder_.path() / "model";
};

TEST_F(DataCheckCommand, SaysWhatIsInGoodData) {
  const CommandResult result = check(good_data());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(cat("samples         ", good_samples(), "\n")));
  EXPECT_THAT(result.out, HasSubstr(cat("good            ", good_samples(), " (100.0%)\n")));
  EXPECT_THAT(result.out, HasSubstr("template        vicuna_v1\n"));
  EXPECT_THAT(result.out, HasSubstr("tokens per sample"));
}

TEST_F(DataCheckCommand, ListsWhatIsBadAndEndsWithTwo) {
  json samples = json::parse(read_file(good_data()));
  samples[3]["image"] = "bccd/images/lost.jpg";
  samples[5]["conversations"].clear();
  write_file(file("data.json"), samples.dump(1));
  const CommandResult result = check(file("data.json"), {"--list", file("bad.jsonl")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, HasSubstr("missing image: 1\n"));
  EXPECT_THAT(result.out, HasSubstr("data.json: sample 3 (line "));
  EXPECT_THAT(result.err, HasSubstr(cat("error: ", file("data.json"), ": 2 of ", samples.size(), " samples are bad")));
  EXPECT_THAT(result.err, HasSubstr("hint: "));
  const std::vector<std::string> lines = split(read_file(file("bad.jsonl")), '\n');
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(json::parse(lines[0])["sample"], 3);
  EXPECT_EQ(json::parse(lines[1])["reason"], "unknown role");

  const CommandResult as_json = check(file("data.json"), {"--json"});
  EXPECT_EQ(as_json.exit_code, 2);
  const json report = json::parse(as_json.out);
  EXPECT_EQ(report["samples"], samples.size());
  EXPECT_EQ(report["bad"], 2);
  EXPECT_EQ(report["reasons"]["missing image"]["count"], 1);
  EXPECT_EQ(report["reasons"]["missing image"]["first"][0]["sample"], 3);
}

TEST_F(DataCheckCommand, AListTakesThePlaceOfAnEarlierListAndOfNoOtherFile) {
  json samples = json::parse(read_file(good_data()));
  samples.erase(samples.begin() + 6, samples.end());
  samples[3]["image"] = "bccd/images/lost.jpg";
  write_file(file("data.json"), samples.dump());
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(check(file("data.json"), {"--list", file("bad.jsonl")}).err, HasSubstr("1 of 6 samples are bad"));
    EXPECT_EQ(split(read_file(file("bad.jsonl")), '\n').size(), 2U);
  }
  samples[0]["reason"] = "a member that the entries of a list have as well";
  for (const int indent : {-1, 1}) {
    const std::string mine = samples.dump(indent);
    write_file(file("mine.json"), mine);
    const CommandResult refused = check(file("data.json"), {"--list", file("mine.json")});
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, HasSubstr("mine.json: exists already"));
    EXPECT_EQ(read_file(file("mine.json")), mine);
  }
}

TEST_F(DataCheckCommand, EachBadSampleIsShownAndListedWithItsOwnHint) {
  json samples = json::parse(read_file(good_data()));
  samples[1]["image"] = "https://example.org/coco/a.jpg";
  samples[2]["image"] = cat("data:image/jpeg;base64,/9j/", std::string(5000, 'A'));
  samples[4].erase("image");
  samples[6]["conversations"][0]["value"] = "no mark";
  write_file(file("data.json"), samples.dump(1));
  const CommandResult result = check(file("data.json"), {"--list", file("bad.jsonl")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out,
              HasSubstr("an address (URL) where a picture's file is expected: https://example.org/coco/a.jpg\n"
                        "      hint: download the picture"));
  EXPECT_THAT(result.out, HasSubstr("      hint: decode the data into a picture file"));
  EXPECT_THAT(result.out,
              HasSubstr("no picture, and 1 message with <image>\n      hint: name the picture in \"image\""));
  EXPECT_THAT(result.out, HasSubstr("1 image and 0 messages with <image>\n      hint: write <image>"));
  EXPECT_LT(result.out.size(), 4000U);
  std::set<std::string> hints;
  for (const std::string& line : split(read_file(file("bad.jsonl")), '\n')) {
    if (!line.empty()) hints.insert(json::parse(line).at("hint"));
  }
  EXPECT_EQ(hints.size(), 4U);
}

TEST_F(DataCheckCommand, OtherFormsAreReadAndNamed) {
  json samples = json::parse(read_file(good_data()));
  json messages = json::array();
  std::string lines;
  for (json& sample : samples) {
    const std::string picture = sample["image"];
    json turns = json::array({{{"role", "system"}, {"content", "Count the cells."}}});
    for (const json& turn : sample["conversations"]) {
      const bool asks = turn["from"] == "human";
      json content = turn["value"];
      if (asks && turns.size() == 1) {
        content = {{{"type", "image"}}, {{"type", "text"}, {"text", "How many cells?"}}};
      }
      turns.push_back({{"role", asks ? "user" : "assistant"}, {"content", content}});
    }
    lines += json{{"id", nullptr}, {"images", {picture}}, {"messages", turns}}.dump() + "\n";
    sample["images"] = sample["image"];
    sample.erase("image");
    for (json& turn : sample["conversations"]) turn["from"] = turn["from"] == "human" ? "user" : "assistant";
  }
  write_file(file("sharegpt.json"), samples.dump());
  write_file(file("openai.jsonl"), lines);
  const CommandResult sharegpt = check(file("sharegpt.json"));
  EXPECT_EQ(sharegpt.exit_code, 0) << sharegpt.err;
  EXPECT_THAT(sharegpt.out, HasSubstr(cat("with pictures   ", samples.size(), ", ", samples.size(), " pictures\n")));
  EXPECT_THAT(sharegpt.out,
              HasSubstr(cat("form            conversations with from and value: ", samples.size(), "\n")));
  const CommandResult openai = check(file("openai.jsonl"), {"--json"});
  EXPECT_EQ(openai.exit_code, 0) << openai.err;
  const json report = json::parse(openai.out);
  EXPECT_EQ(report["with_images"], samples.size());
  EXPECT_EQ(report["forms"]["messages with role and content, in parts"], samples.size());
}

TEST_F(DataCheckCommand, WhereNoPictureIsThereItAsksAboutTheFolder) {
  fs::create_directories(file("empty"));
  const std::string data = good_data();
  const CommandResult wrong = run_command(
      {STRIATE_PROGRAM, "data", "check", "--model", model_.string(), "--data", data, "--images", file("empty")});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("none of its pictures exists"));
  EXPECT_THAT(wrong.err, HasSubstr("hint: check that --images " + file("empty") + " is the right folder"));
  EXPECT_THAT(wrong.out, testing::Not(HasSubstr("no such file")));
}

// One value that other programs write where there is none spoils no file.
TEST_F(DataCheckCommand, AnOddValueSpoilsOneSampleAtMost) {
  const std::string turns = R"("conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}])";
  const std::string text =
      cat("{\"id\": 1, ", turns, "}\n{\"id\": NaN, \"score\": -Infinity, ", turns,
          "}\n{\"conversations\": None}\nnull\n{\"id\": 123456789012345678901234567890, ", turns, "}\n");
  write_file(file("odd.jsonl"), text);
  const CommandResult lines = check(file("odd.jsonl"));
  EXPECT_EQ(lines.exit_code, 2);
  EXPECT_THAT(lines.out, HasSubstr("good            3 (60.0%)\n"));
  EXPECT_THAT(lines.out, HasSubstr("odd.jsonl: sample 2 (line 3): \"conversations\" is null, not a list"));
  EXPECT_THAT(lines.out, HasSubstr("odd.jsonl: sample 3 (line 4): its line is not one whole JSON object: null"));
  std::string array = "[" + text;
  for (char& c : array) {
    if (c == '\n') c = ',';
  }
  array.back() = ']';
  write_file(file("odd.json"), array);
  EXPECT_THAT(check(file("odd.json")).out, HasSubstr("good            3 (60.0%)\n"));
}

TEST_F(DataCheckCommand, ABrokenFileIsAnErrorWithItsPlace) {
  write_file(file("data.json"), "[{\"id\": \"a\"},\n{\"id\": \"b\n");
  const CommandResult result = check(file("data.json"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("data.json: line 2 (byte 23): the line ends inside a string"));
  const CommandResult absent = check(file("absent.json"));
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_THAT(absent.err, HasSubstr("absent.json: cannot be read"));
  write_file(file("wide.json"), std::string("\xFF\xFE[\0{\0}\0]\0", 10));
  const CommandResult wide = check(file("wide.json"));
  EXPECT_EQ(wide.exit_code, 2);
  EXPECT_THAT(wide.err, HasSubstr("wide.json: the file is UTF-16"));
  EXPECT_THAT(wide.err, HasSubstr("iconv -f UTF-16 -t UTF-8"));
}

}  // namespace
}  // namespace striate::test
