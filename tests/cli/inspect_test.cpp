#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

class InspectCommand : public testing::Test {
 protected:
  void SetUp() override {
    const CommandResult made = run_command({STRIATE_PROGRAM,    "init", "--arch",          "llava-1.5-7b",
                                            "--layers",         "3",    "--hidden",        "32",
                                            "--heads",          "2",    "--mlp",           "48",
                                            "--vocab",          "80",   "--vision-layers", "2",
                                            "--vision-hidden",  "32",   "--vision-heads",  "2",
                                            "--vision-mlp",     "48",   "--image-size",    "42",
                                            "--max-shard-size", "20kB", "--out",           model_.string()});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  CommandResult inspect(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {STRIATE_PROGRAM, "inspect", "--model", model_.string()});
    return run_command(more);
  }
  json report() { return json::parse(inspect({"--json"}).out); }
  json config() const { return json::parse(read_file(model_ / "config.json")); }
  void write_config(const json& config) const { write_file(model_ / "config.json", config.dump()); }
  // The first shard that holds a tensor of the projector, rewritten to begin with another header.
  void rename_in_header(const std::string& from, const std::string& to) const {
    ASSERT_EQ(from.size(), to.size());
    int changed = 0;
    for (const auto& entry : fs::directory_iterator(model_)) {
      const std::string name = entry.path().filename();
      if (!name.ends_with(".safetensors") && !name.ends_with(".index.json")) continue;
      std::string bytes = read_file(entry.path());
      const std::size_t at = bytes.find(from);
      if (at == std::string::npos) continue;
      bytes.replace(at, from.size(), to);
      write_file(entry.path(), bytes);
      ++changed;
    }
    ASSERT_EQ(changed, 2);
  }

  TemporaryFolder folder_;
  fs::path model_ = folder_.path() / "m";
};

TEST_F(InspectCommand, PrintsWhatAModelIs) {
  const CommandResult result = inspect();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const char* words : {"LLaVA-1.5 (llava-hf naming)", "3 layers, width 32, 2 heads of 16", "4096 tokens",
                            "42x42 pixels, padded to a square, patches of 14: 9 tokens each", "mlp2x_gelu, 32 to 32",
                            "vicuna_v1", "BF16", "layers 0-2, each", "model-00001-of-"}) {
    EXPECT_THAT(result.out, HasSubstr(words));
  }
  EXPECT_THAT(result.out, testing::Not(HasSubstr("missing")));
}

TEST_F(InspectCommand, JsonCountsEveryPartAndLayer) {
  const json report = this->report();
  EXPECT_EQ(report["complete"], true);
  EXPECT_EQ(report["naming"], "llava-hf");
  EXPECT_EQ(report["tokenizer"], nullptr);
  EXPECT_THAT(report["tokenizer_problem"].get<std::string>(), HasSubstr("tokenizer"));
  const json& decoder = report["parts"]["decoder"];
  ASSERT_EQ(decoder["layers"].size(), 3U);
  EXPECT_EQ(decoder["layers"][1]["parameters"], 4 * 32 * 32 + 3 * 32 * 48 + 2 * 32);
  EXPECT_EQ(decoder["outside_layers"]["parameters"], 2 * 80 * 32 + 32);
  EXPECT_EQ(report["parts"]["projector"]["parameters"], 2 * (32 * 32 + 32));
  std::uint64_t parameters = 0, tensors = 0;
  for (const json& part : report["parts"]) parameters += part["parameters"].get<std::uint64_t>();
  for (const json& file : report["files"]) tensors += file["tensors"].get<std::uint64_t>();
  EXPECT_EQ(report["total"]["parameters"], parameters);
  EXPECT_EQ(report["total"]["tensors"], tensors);
  EXPECT_EQ(report["dtypes"]["BF16"]["bytes"], 2 * parameters);
  EXPECT_EQ(report["vision_tower"]["tokens_per_image"], 9);
  EXPECT_EQ(report["context_length"], 4096);
}

TEST_F(InspectCommand, AMissingTensorIsReportedAndNamed) {
  rename_in_header("language_model.model.layers.1.mlp.up_proj.weight",
                   "language_model.model.layers.7.mlp.up_proj.weight");
  const CommandResult result = inspect();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, HasSubstr("missing (1)\n    model.layers.1.mlp.up_proj.weight (decoder)"));
  EXPECT_THAT(result.out, HasSubstr("language_model.model.layers.7.mlp.up_proj.weight"));
  EXPECT_THAT(result.err, HasSubstr("tensor model.layers.1.mlp.up_proj.weight is missing (1 in all)\nhint: "));
  const json report = this->report();
  EXPECT_EQ(report["complete"], false);
  EXPECT_EQ(report["missing"][0]["name"], "model.layers.1.mlp.up_proj.weight");
  EXPECT_EQ(report["missing"][0]["part"], "decoder");
  EXPECT_EQ(report["unexpected"][0], "language_model.model.layers.7.mlp.up_proj.weight");
}

TEST_F(InspectCommand, AWrongShapeIsReportedWithBothShapes) {
  json changed = config();
  changed["text_config"]["intermediate_size"] = 64;
  write_config(changed);
  const CommandResult result = inspect();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, HasSubstr("gate_proj.weight: [48, 32], expected [64, 32]"));
  EXPECT_THAT(result.err, HasSubstr("(9 such tensors)"));
  EXPECT_EQ(report()["wrong_shape"].size(), 9U);
}

TEST_F(InspectCommand, AVisionTowerThatIsAbsentIsHintedAt) {
  json changed = config();
  changed["vision_config"]["num_hidden_layers"] = 4;
  write_config(changed);
  const CommandResult result = inspect();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, HasSubstr("and 22 more (--json)"));
  EXPECT_THAT(result.err, HasSubstr("--vision-tower"));
}

TEST_F(InspectCommand, WhatTheConfigTiesIsNotMissed) {
  json changed = config();
  changed["text_config"]["tie_word_embeddings"] = true;
  write_config(changed);
  const json report = this->report();
  EXPECT_EQ(report["complete"], true);
  EXPECT_EQ(report["tied_embeddings"], true);
  EXPECT_EQ(report["unexpected"], json::array({"language_model.lm_head.weight"}));
}

TEST_F(InspectCommand, ADamagedPreprocessorIsReportedAndNotFatal) {
  write_file(model_ / "preprocessor_config.json", "{\"image_processor_type\": ");
  const CommandResult result = inspect();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("cannot be prepared"));
}

TEST_F(InspectCommand, WhatCannotBeOpenedIsOneLineAndAHint) {
  const auto expect_refused = [&](const std::string& words, std::vector<std::string> more = {}) {
    const CommandResult result = inspect(std::move(more));
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("error: "));
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_THAT(result.err, HasSubstr("\nhint: "));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 2) << result.err;
  };
  expect_refused("--llm", {"--llm", model_.string()});
  const std::string good = read_file(model_ / "config.json");
  write_file(model_ / "config.json", good.substr(0, good.size() / 2));
  expect_refused("not valid JSON");
  write_file(model_ / "config.json", "{\"model_type\": \"resnet\"}");
  expect_refused("resnet");
  write_file(model_ / "config.json", good);
  const std::string shard = "model-00002-of-";
  for (const auto& entry : fs::directory_iterator(model_)) {
    if (entry.path().filename().string().starts_with(shard)) fs::resize_file(entry.path(), 100);
  }
  expect_refused(shard);
  fs::remove(model_ / "model.safetensors.index.json");
  expect_refused("no weights");
  fs::remove_all(model_);
  expect_refused(model_.string());
}

TEST(InspectGoldens, AreComplete) {
  ASSERT_FALSE(golden_models().empty());
  for (const fs::path& model : golden_models()) {
    const CommandResult result = run_command({STRIATE_PROGRAM, "inspect", "--json", "--model", model.string()});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const json report = json::parse(result.out);
    EXPECT_EQ(report["missing"].size() + report["wrong_shape"].size() + report["unexpected"].size(), 0U);
  }
}

}  // namespace
}  // namespace striate::test
