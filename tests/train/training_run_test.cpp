// What a run refuses, when it does so, and what it tells meanwhile.
#include "striate/train/training_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/files/weight_file.h"
#include "striate/model/decoder_layer.h"
#include "tests/data/small_world.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/test_device.h"
#include "tests/support/weights.h"
#include "tests/text/tiny_tokenizers.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class TrainingRun : public testing::Test {
 protected:
  TrainingRun() { make_checkpoint(model(), {.vocab = 264}); }
  fs::path model() const { return world_.path("model"); }

  TrainingRequest request() const {
    TrainingRequest r;
    r.model.model = model();
    r.placement = exact_placement();
    r.tokenizer = world_.path("tokenizer");
    r.layers = "1,3";
    r.tune.lora.rank = 2;
    r.data = world_.options();
    r.steps = 4;
    r.out = world_.path("run");
    return r;
  }
  TrainingRequest with_held_out() const {
    TrainingRequest r = request();
    r.held_out.data = world_.data();
    r.held_out.samples = 2;
    r.held_out.max_tokens = 2;
    return r;
  }
  // The headers stay whole, so that only reading the weights shows that one is not there.
  void lose_the_final_norm() const {
    std::vector<std::pair<std::string, at::Tensor>> kept;
    const auto weights = open_weight_directory(model());
    for (const TensorInfo& info : weights->tensors()) {
      if (!info.name.ends_with("model.norm.weight")) kept.emplace_back(info.name, weights->load(info.name).clone());
    }
    ASSERT_EQ(kept.size() + 1, weights->tensors().size());
    write_safetensors(model() / "model.safetensors", kept);
  }
  static std::string refusal(const TrainingRequest& request) {
    try {
      run_training(request, Ranks{}, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  SmallWorld world_{12};
};

TEST_F(TrainingRun, WhateverMayRefuseItDoesSoBeforeWeightsAreRead) {
  lose_the_final_norm();
  ASSERT_THAT(refusal(request()), HasSubstr("model.norm.weight"));
  const auto refused = [&](const std::function<void(TrainingRequest&)>& change) {
    TrainingRequest changed = request();
    change(changed);
    return refusal(changed);
  };
  EXPECT_THAT(refused([](TrainingRequest& r) { r.layers = "1,7"; }), HasSubstr("7"));
  EXPECT_THAT(refused([](TrainingRequest& r) { r.tune.lora.targets = {"query"}; }), HasSubstr("query"));
  EXPECT_THAT(refused([](TrainingRequest& r) { r.memory_budget = 1000; }), HasSubstr("1.00 kB"));
  EXPECT_THAT(refused([](TrainingRequest& r) { r.data.data = "absent.json"; }), HasSubstr("absent.json"));
  EXPECT_THAT(refused([](TrainingRequest& r) { r.held_out.data = "absent.json"; }), HasSubstr("absent.json"));
  EXPECT_THAT(refused([](TrainingRequest& r) {
                r.teacher.emplace();
                r.teacher->hidden_weight = 1;
                r.teacher->model.model = r.model.model;
                r.teacher->temperature = 0;
              }),
              HasSubstr("temperature"));
  nlohmann::json samples = world_.samples();
  samples[3].erase("conversations");
  world_.write_data(samples);
  EXPECT_THAT(refusal(request()), HasSubstr("sample 3"));
  EXPECT_FALSE(fs::exists(world_.path("run"))) << "nothing was written";
}

TEST_F(TrainingRun, AResumedRunOfOtherSettingsIsRefusedBeforeWeightsAreRead) {
  run_training(request(), Ranks{}, {});
  TrainingRequest other = request();
  other.resume = true;
  other.max_gradient_norm = 0.5;
  lose_the_final_norm();
  EXPECT_THAT(refusal(other), HasSubstr("0.5 now, 1.0 in"));
}

TEST_F(TrainingRun, FewerStepsThanARunHasTakenAreRefused) {
  TrainingRequest r = request();
  r.schedule = ScheduleKind::kConstant;
  run_training(r, Ranks{}, {});
  r.resume = true;
  r.steps = 3;
  EXPECT_THAT(refusal(r), HasSubstr("the run has taken 4 steps already, more than the 3 that are asked for"));
  r.steps = 4;
  EXPECT_EQ(refusal(r), "");
}

TEST_F(TrainingRun, AnotherTokenizerOrAdapterOfTheTeacherIsAnotherRun) {
  const Checkpoint base = open_small(model());
  make_adapter(world_.path("adapter"), base, {1, 3}, /*beside=*/false, 0.1);
  make_adapter(world_.path("other_adapter"), base, {1, 3}, /*beside=*/false, 0.2);
  nlohmann::json tokenizer = tiny_tokenizer_json();
  tokenizer["model"]["merges"].erase(2);
  fs::create_directories(world_.path("other_tokenizer"));
  write_file(world_.path("other_tokenizer") / "tokenizer.json", tokenizer.dump());
  TrainingRequest r = request();
  r.teacher.emplace();
  r.teacher->model.model = model();
  r.teacher->model.adapter = world_.path("adapter");
  r.teacher->hidden_weight = 1;
  run_training(r, Ranks{}, {});
  r.resume = true;
  EXPECT_EQ(refusal(r), "");
  TrainingRequest other = r;
  other.tokenizer = world_.path("other_tokenizer");
  EXPECT_THAT(refusal(other), HasSubstr("`tokenizer`: \""));
  other = r;
  other.teacher->model.adapter = world_.path("other_adapter");
  EXPECT_THAT(refusal(other), HasSubstr("`teacher_adapter`: \"weights "));
  other.teacher->model.adapter.reset();
  EXPECT_THAT(refusal(other), HasSubstr("`teacher_adapter`: not set now, \"weights "));
}

TEST_F(TrainingRun, TheMatricesOfATeachersAdapterCountInItsMemory) {
  const Checkpoint base = open_small(model());
  make_adapter(world_.path("adapter"), base, {1, 3}, /*beside=*/false, 0.1);
  TrainingRequest r = request();
  r.teacher.emplace();
  r.teacher->model.model = model();
  r.teacher->hidden_weight = 1;
  const std::int64_t without = run_training(r, Ranks{}, {}).plan.teacher_bytes;
  r.teacher->model.adapter = world_.path("adapter");
  r.out = world_.path("adapted");
  std::int64_t matrices = 0;  // fp32, of rank 3, on two layers
  for (const LinearShape& linear : decoder_linears(base.config.decoder))
    matrices += 2 * 4 * 3 * (linear.in + linear.out);
  EXPECT_EQ(run_training(r, Ranks{}, {}).plan.teacher_bytes, without + matrices);
}

TEST_F(TrainingRun, AStopFlagEndsItAfterItsStepAndItIsResumed) {
  StopFlag stop;
  TrainingObserver observer;
  observer.on_step = [&stop](const StepMetrics& m) {
    if (m.step == 2) stop.ask(15);
  };
  const TrainingResult stopped = run_training(request(), Ranks{}, observer, stop);
  EXPECT_EQ(stopped.outcome.stop_reason, 15);
  EXPECT_EQ(stopped.outcome.state.step, 3) << "it is looked at once a step";
  EXPECT_FALSE(fs::exists(world_.path("run") / "adapter_model.safetensors"));
  TrainingRequest again = request();
  again.resume = true;
  const TrainingResult result = run_training(again, Ranks{}, {});
  EXPECT_EQ(result.plan.first_step, 3);
  EXPECT_EQ(result.outcome.stop_reason, 0);
  EXPECT_TRUE(fs::exists(world_.path("run") / "adapter_model.safetensors"));
}

TEST_F(TrainingRun, AFinishedRunIsLeftAsItIsAndTellsItsResult) {
  const TrainingResult first = run_training(with_held_out(), Ranks{}, {});
  ASSERT_TRUE(first.outcome.evaluation);
  std::map<std::string, std::string> before;
  for (const char* name : {"run.json", "striate.json", "metrics.jsonl", "report.html", "adapter_model.safetensors"}) {
    before[name] = read_file(world_.path("run") / name);
  }
  std::vector<std::string> infos;
  bool begun = false;
  TrainingObserver observer;
  observer.notes.info = [&infos](const std::string& text) { infos.push_back(text); };
  observer.on_begin = [&begun](const TrainingPlan&) { begun = true; };
  TrainingRequest again = with_held_out();
  again.resume = true;
  const TrainingResult result = run_training(again, Ranks{}, observer);
  EXPECT_FALSE(begun);
  EXPECT_THAT(infos, Contains(HasSubstr("the run is finished after 4 steps")));
  EXPECT_EQ(result.outcome.state.step, 4);
  EXPECT_EQ(result.outcome.stop_reason, 0);
  EXPECT_EQ(result.outcome.loss, first.outcome.loss);
  EXPECT_GT(result.outcome.seconds, 0);
  ASSERT_TRUE(result.outcome.evaluation);
  EXPECT_EQ(result.outcome.evaluation->loss, first.outcome.evaluation->loss);
  for (const auto& [name, text] : before) EXPECT_TRUE(read_file(world_.path("run") / name) == text) << name;
  fs::remove(world_.path("run") / "report.html");  // as if a kill had come before it
  run_training(again, Ranks{}, {});
  EXPECT_TRUE(fs::exists(world_.path("run") / "report.html"));
}

TEST_F(TrainingRun, AFinishedRunNeedsItsPicturesNoMore) {
  TrainingRequest r = request();
  r.schedule = ScheduleKind::kConstant;
  run_training(r, Ranks{}, {});
  fs::remove_all(world_.images());
  fs::create_directories(world_.images());
  r.resume = true;
  EXPECT_EQ(refusal(r), "");
  r.steps = 5;
  EXPECT_THAT(refusal(r), HasSubstr("image")) << "a longer run needs them";
}

TEST_F(TrainingRun, AResultThatAKillCameBeforeIsWrittenWithTheLastStepsNumbers) {
  const TrainingResult first = run_training(with_held_out(), Ranks{}, {});
  const fs::path record = world_.path("run") / "run.json";
  nlohmann::json json = nlohmann::json::parse(read_file(record));
  json["result"] = nullptr;
  write_file(record, json.dump());
  fs::remove(world_.path("run") / "adapter_config.json");
  TrainingRequest again = with_held_out();
  again.resume = true;
  run_training(again, Ranks{}, {});
  EXPECT_TRUE(fs::exists(world_.path("run") / "adapter_config.json"));
  const nlohmann::json result = nlohmann::json::parse(read_file(record))["result"];
  EXPECT_EQ(result["loss"].get<double>(), first.outcome.loss);
  EXPECT_EQ(result["evaluation"]["loss"].get<double>(), first.outcome.evaluation->loss);
  EXPECT_TRUE(result["done"].get<bool>());
}

TEST_F(TrainingRun, RemarksGoToTheObserverAndNowhereElse) {
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
  TrainingObserver observer;
  observer.notes.warning = [&warnings](const std::string& text) { warnings.push_back(text); };
  observer.notes.info = [&infos](const std::string& text) { infos.push_back(text); };
  TrainingRequest still = request();
  still.rates = {0, 0, 0, 0};
  still.resume = true;
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  run_training(still, Ranks{}, observer);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), IsEmpty());
  EXPECT_THAT(testing::internal::GetCapturedStdout(), IsEmpty());
  EXPECT_THAT(warnings, Contains(HasSubstr("every step has learning rate 0")));
  EXPECT_THAT(infos, Contains(HasSubstr("no checkpoint to resume from")));
}

}  // namespace
}  // namespace striate::test
