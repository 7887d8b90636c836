// The loop, on a tiny model and steps made by hand.
#include "striate/train/trainer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "tests/support/tiny_model.h"

namespace striate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Sample make_sample(std::uint64_t key, bool image = true) {
  Sample sample;
  sample.input_ids = {1};
  if (image) sample.input_ids.push_back(kImageToken);
  for (std::uint64_t i = 0; i < 5 + key % 4; ++i)
    sample.input_ids.push_back(static_cast<std::int64_t>(3 + (7 * key + i) % 90));
  sample.labels.assign(sample.input_ids.size(), kIgnoreLabel);
  for (std::size_t i = 3; i < sample.labels.size(); ++i) sample.labels[i] = sample.input_ids[i];
  if (image) sample.images = {test::tiny_image(static_cast<std::int64_t>(key))};
  sample.key = key;
  return sample;
}

// Four samples a step, in streams of `per_stream` of them; a rank takes its share.
class HandMade : public StepSource {
 public:
  explicit HandMade(std::size_t per_stream, int rank = 0, int ranks = 1)
      : per_stream_(per_stream), rank_(rank), ranks_(ranks) {}

  TrainingStep next() override {
    TrainingStep step;
    std::vector<Sample> mine;
    std::vector<std::string> names;
    for (std::uint64_t i = 0; i < 4; ++i) {
      Sample sample = make_sample(4 * static_cast<std::uint64_t>(taken_) + i, i != 2);
      if (taken_ == poisoned_ && i == 1) sample.images[0][0][0] = std::numeric_limits<float>::quiet_NaN();
      const std::vector<Sample> alone = {sample};
      const PackedBatch packed = pack(alone);
      step.targets += packed.targets.size(0);
      step.tokens += packed.tokens();
      ++step.samples;
      if (static_cast<int>(i) % ranks_ != rank_) continue;
      mine.push_back(sample);
      names.push_back(cat("sample ", 4 * taken_ + static_cast<std::int64_t>(i)));
    }
    for (std::size_t begin = 0; begin < mine.size(); begin += per_stream_) {
      const std::size_t end = std::min(mine.size(), begin + per_stream_);
      step.streams.push_back(pack(std::span(mine).subspan(begin, end - begin)));
      step.sample_names.emplace_back(names.begin() + static_cast<std::ptrdiff_t>(begin),
                                     names.begin() + static_cast<std::ptrdiff_t>(end));
    }
    ++taken_;
    step.after.step_in_window = taken_;
    return step;
  }
  std::int64_t samples_per_epoch() const override { return 8; }
  std::int64_t steps_per_epoch() const override { return 2; }

  void poison(std::int64_t step) { poisoned_ = step; }

 private:
  std::size_t per_stream_;
  int rank_;
  int ranks_;
  std::int64_t taken_ = 0;
  std::int64_t poisoned_ = -1;
};

TuneOptions tune_options() {
  TuneOptions options;
  options.layers = LayerSet(3, {0, 2});
  options.lora.rank = 4;
  options.lora.alpha = 8;
  options.lora.dropout = 0.1;
  return options;
}

// A run from its beginning, with everything it needs.
struct Rig {
  explicit Rig(std::size_t per_stream = 4) : source(per_stream) {
    options.steps = 6;
    options.rates = {0.01, 0.02, 0, 0};
    options.schedule = {ScheduleKind::kCosine, 6, 1};
    hooks.on_step = [this](const StepMetrics& m) { steps.push_back(m); };
    hooks.save = [this](const RunState& state) { saved.push_back(state.step); };
  }
  TrainerOutcome run() { return Trainer(tunable, pass, source, optimizer, *alone, options, hooks, start).run(); }

  std::unique_ptr<Lvlm> model = test::tiny_model();
  Tunable tunable{*model, tune_options()};
  TrainPass pass{tunable, ActivationCheckpointing::kNone};
  AdamW optimizer{tunable.parameters(), {}};
  HandMade source;
  std::unique_ptr<Collective> alone = join_ranks({}, at::kCPU);
  TrainerOptions options;
  TrainerHooks hooks;
  RunState start;
  std::vector<StepMetrics> steps;
  std::vector<std::int64_t> saved;
};

TEST(Trainer, CountsWhatItTrainsOn) {
  Rig rig;
  rig.options.save_every = 4;
  const TrainerOutcome outcome = rig.run();
  ASSERT_EQ(rig.steps.size(), 6U);
  EXPECT_EQ(outcome.state.step, 6);
  EXPECT_EQ(outcome.state.updates, 6);
  EXPECT_EQ(outcome.state.samples, 24);
  EXPECT_EQ(outcome.state.data.step_in_window, 6);
  EXPECT_EQ(outcome.loss, rig.steps.back().loss);
  EXPECT_DOUBLE_EQ(rig.steps[1].epoch, 1.0);
  EXPECT_EQ(rig.steps[0].rates, (std::vector<std::pair<std::string, double>>{{"projector", 0}, {"adapter", 0}}));
  EXPECT_DOUBLE_EQ(rig.steps[1].rates[1].second, 0.02);
  EXPECT_EQ(rig.saved, (std::vector<std::int64_t>{4, 6}));
}

TEST(Trainer, AccumulatingOverStreamsDoesNotChangeTheResult) {
  Rig packed(4);
  Rig alone(1);
  packed.run();
  alone.run();
  EXPECT_LT((packed.tunable.parameters().values() - alone.tunable.parameters().values()).abs().max().item<double>(),
            2e-5);
  for (std::size_t i = 0; i < packed.steps.size(); ++i) {
    EXPECT_NEAR(packed.steps[i].loss, alone.steps[i].loss, 1e-5);
    EXPECT_NEAR(packed.steps[i].gradient_norm, alone.steps[i].gradient_norm, 1e-4 * alone.steps[i].gradient_norm);
  }
}

TEST(Trainer, LargeGradientsAreClipped) {
  Rig free;
  Rig clipped;
  free.options.steps = clipped.options.steps = 1;
  free.options.schedule = clipped.options.schedule = {ScheduleKind::kConstant, 1, 0};
  free.options.max_gradient_norm = 0;
  clipped.options.max_gradient_norm = 1e-3;
  free.run();
  clipped.run();
  EXPECT_EQ(free.steps[0].gradient_norm, clipped.steps[0].gradient_norm);
  const double norm = clipped.tunable.parameters().gradients().norm().item<double>();
  EXPECT_NEAR(norm, 1e-3, 1e-6);
}

TEST(Trainer, ABadLossStopsBeforeTheUpdateAndNamesTheSample) {
  Rig rig;
  rig.source.poison(2);
  rig.options.save_every = 1;
  Rig two;
  two.options.steps = 2;
  two.run();
  try {
    rig.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("step 3: the loss is not finite"), HasSubstr("sample 9"), Not(HasSubstr("sample 8"))));
    EXPECT_THAT(error.hint(), HasSubstr("nothing was updated"));
    EXPECT_EQ(error.exit_code(), 1);
  }
  EXPECT_TRUE(at::equal(rig.tunable.parameters().values(), two.tunable.parameters().values()));
  EXPECT_EQ(rig.saved, (std::vector<std::int64_t>{1, 2}));
}

TEST(Trainer, ABadStepMayBeSkippedAndIsCounted) {
  Rig rig;
  rig.source.poison(2);
  rig.options.skip_bad_steps = 1;
  const TrainerOutcome outcome = rig.run();
  EXPECT_EQ(outcome.state.step, 6);
  EXPECT_EQ(outcome.state.updates, 5);
  EXPECT_EQ(outcome.state.skipped_steps, 1);
  EXPECT_TRUE(rig.steps[2].skipped);
  EXPECT_FALSE(rig.steps[3].skipped);
  EXPECT_TRUE(rig.tunable.parameters().values().isfinite().all().item<bool>());
}

TEST(Trainer, ASignalEndsTheRunAfterItsStepAndSaves) {
  Rig rig;
  rig.hooks.stop_reason = [&rig] { return rig.steps.size() >= 2 ? 15 : 0; };
  const TrainerOutcome outcome = rig.run();
  EXPECT_EQ(outcome.stop_reason, 15);
  EXPECT_EQ(outcome.state.step, 3);
  EXPECT_EQ(rig.saved, (std::vector<std::int64_t>{3}));
}

TEST(Trainer, ASignalInTheLastStepHasNothingToStop) {
  Rig rig;
  rig.hooks.stop_reason = [&rig] { return rig.steps.size() >= 5 ? 2 : 0; };
  const TrainerOutcome outcome = rig.run();
  EXPECT_EQ(outcome.stop_reason, 0);
  EXPECT_EQ(outcome.state.step, 6);
}

TEST(Trainer, EvaluatesWhenAskedAndAtTheEnd) {
  Rig rig;
  rig.options.evaluate_every = 4;
  rig.options.evaluate_first = true;
  std::vector<std::int64_t> when;
  rig.hooks.evaluate = [](std::int64_t step) { return EvaluationMetrics{.step = step}; };
  rig.hooks.on_evaluation = [&when](const EvaluationMetrics& m) { when.push_back(m.step); };
  rig.run();
  EXPECT_EQ(when, (std::vector<std::int64_t>{0, 4, 6}));
}

TEST(Trainer, AnEvaluationThatAStopCameBeforeIsOwedAndMadeFirst) {
  std::vector<std::int64_t> when;
  bool owed_in_checkpoint = false;
  const auto watch = [&](Rig& rig) {
    rig.options.evaluate_every = 3;
    rig.hooks.evaluate = [](std::int64_t step) { return EvaluationMetrics{.step = step}; };
    rig.hooks.on_evaluation = [&when](const EvaluationMetrics& m) { when.push_back(m.step); };
    rig.hooks.save = [&owed_in_checkpoint](const RunState& state) { owed_in_checkpoint = state.owes_evaluation; };
  };
  Rig stopped;
  watch(stopped);
  stopped.hooks.stop_reason = [&stopped] { return stopped.steps.size() >= 2 ? 15 : 0; };
  const TrainerOutcome outcome = stopped.run();
  EXPECT_EQ(outcome.state.step, 3);
  EXPECT_TRUE(when.empty());
  EXPECT_TRUE(owed_in_checkpoint);
  Rig resumed;
  watch(resumed);
  resumed.start = parse_run_state(to_json(outcome.state), "state.json");
  const TrainerOutcome rest = resumed.run();
  EXPECT_EQ(when, (std::vector<std::int64_t>{3, 6}));
  EXPECT_FALSE(rest.state.owes_evaluation);
  EXPECT_FALSE(owed_in_checkpoint);
}

TEST(Trainer, FrozenWeightsStayBitIdentical) {
  Rig rig;
  std::vector<std::pair<at::Tensor, at::Tensor>> frozen;  // now and before
  const auto keep = [&frozen](const at::Tensor& weight) { frozen.emplace_back(weight, weight.clone()); };
  for (const DecoderLayer& layer : rig.model->decoder().layers()) {
    for (const auto& [name, linear] : layer.linears()) keep(linear->matrix().weight());
  }
  keep(rig.model->decoder().embedding().value());
  keep(rig.model->decoder().norm().value());
  keep(rig.model->decoder().head_linear().matrix().weight());
  const at::Tensor pixels = at::ones({1, 3, 28, 28});
  const at::Tensor seen = rig.model->vision_features(pixels);
  rig.run();
  for (const auto& [now, before] : frozen) EXPECT_TRUE(at::equal(now, before));
  EXPECT_TRUE(at::equal(rig.model->vision_features(pixels), seen));
  EXPECT_FALSE(rig.model->decoder().layers()[1].trains());
}

}  // namespace
}  // namespace striate
