// Which of a teacher's layers is which of a pruned model's.
#include "striate/train/healing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/model/config_writer.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_model.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class Healing : public testing::Test {
 protected:
  // A folder with a model of `layers` layers and this history.
  ModelPaths model(const std::string& name, std::int64_t layers, const json& history = nullptr) {
    const std::filesystem::path folder = folder_.path() / name;
    std::filesystem::create_directories(folder);
    const TinyModelOptions options{.layers = layers};
    write_tiny_weights(folder / "model.safetensors", options);
    ModelConfig config = tiny_config(options);
    config.vision_tower_name = "vision_tower";
    for (const auto& [file, contents] : config_files(config, at::kFloat)) {
      std::filesystem::create_directories((folder / file).parent_path());
      write_file(folder / file, contents.dump());
    }
    if (!history.is_null()) write_file(folder / "striate.json", history.dump());
    ModelPaths paths;
    paths.model = folder;
    return paths;
  }
  static json pruned(std::int64_t of, const std::vector<std::int64_t>& original) {
    return {{"layers", {{"of", of}, {"original", original}}}};
  }

  TemporaryFolder folder_;
};

TEST_F(Healing, TheTeachersLayersAreTheOriginalOnes) {
  const HealingPair pair = healing_pair(model("pruned", 3, pruned(5, {0, 2, 4})), model("whole", 5));
  EXPECT_THAT(pair.teacher_layers, ElementsAre(0, 2, 4));
  EXPECT_DOUBLE_EQ(pair.removed_share(), 0.4);
}

TEST_F(Healing, ATeacherThatWasPrunedItselfIsCountedByItsOwnNumbers) {
  const HealingPair pair =
      healing_pair(model("twice", 2, pruned(6, {2, 5})), model("once", 4, pruned(6, {0, 2, 3, 5})));
  EXPECT_THAT(pair.teacher_layers, ElementsAre(1, 3));
}

TEST_F(Healing, WithoutATeacherOnlyTheShareIsTold) {
  EXPECT_TRUE(healing_pair(model("pruned", 4, pruned(5, {0, 1, 2, 4})), std::nullopt).teacher_layers.empty());
  EXPECT_DOUBLE_EQ(healing_pair(model("whole", 4), std::nullopt).removed_share(), 0.0);
}

TEST_F(Healing, TheProjectorAloneIsTunedUntilAFifthOfTheLayersIsGone) {
  HealingRequest request;
  request.model = model("one-of-five", 4, pruned(5, {0, 1, 2, 4}));
  EXPECT_EQ(plan_healing(request).tune, HealTune::kProjector);
  EXPECT_EQ(plan_healing(request).warning, "");
  request.layers = "0,1";
  EXPECT_EQ(plan_healing(request).tune, HealTune::kLora);
  EXPECT_EQ(plan_healing(request).layers, "0,1");
  request.model = model("two-of-five", 3, pruned(5, {0, 2, 4}));
  request.layers = "";
  EXPECT_THROW(plan_healing(request), Error) << "adapters need layers, and none are recorded";
  request.tune = HealTune::kProjector;
  EXPECT_THAT(plan_healing(request).warning, HasSubstr("2 of 5 layers were removed"));
}

TEST_F(Healing, AModelThatWasNeverPrunedIsTunedLikeAnyOtherAndSaysSo) {
  HealingRequest request;
  request.model = model("whole", 4);
  EXPECT_EQ(plan_healing(request).tune, HealTune::kProjector);
  EXPECT_THAT(plan_healing(request).warning, HasSubstr("whole records no removed layers"));
  request.layers = "0,1";
  EXPECT_EQ(plan_healing(request).tune, HealTune::kLora);
  EXPECT_THAT(plan_healing(request).warning, HasSubstr("whole records no removed layers"));
}

TEST_F(Healing, TheRegionOfTheTuningBeforeIsFound) {
  json history = pruned(5, {0, 2, 4});
  history["base_history"] = {{"region", {{"spec", "0,2"}, {"layers", {0, 2}}, {"of", 5}}}};
  HealingRequest request;
  request.model = model("pruned", 3, history);
  request.layers = "from-run";
  EXPECT_EQ(plan_healing(request).layers, "0,1") << "by the pruned model's numbers";
  EXPECT_EQ(plan_healing(request).tune, HealTune::kLora);
  request.model = model("unknown", 3, pruned(5, {0, 2, 4}));
  EXPECT_THROW(plan_healing(request), Error);
}

TEST_F(Healing, AModelThatIsNoTeacherIsRefused) {
  const auto refused = [](const ModelPaths& student, const ModelPaths& teacher, const std::string& what) {
    try {
      healing_pair(student, teacher);
      ADD_FAILURE() << "accepted: " << what;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_THAT(error.what(), HasSubstr(what));
      EXPECT_NE(error.hint(), "");
    }
  };
  refused(model("unknown", 3), model("whole", 5), "`teacher` began with 5 layers, but `model` began with 3");
  refused(model("pruned", 2, pruned(4, {0, 3})), model("other", 3, pruned(4, {0, 1, 2})), "has no layer 3");
}

}  // namespace
}  // namespace striate::test
