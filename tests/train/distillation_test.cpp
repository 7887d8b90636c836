// What a teacher adds to a training pass: its terms, and their gradients.
#include "striate/train/distillation.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "striate/base/error.h"
#include "striate/text/conversation.h"
#include "striate/train/train_pass.h"
#include "tests/train/gradient_checks.h"

namespace striate::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

at::Tensor random_rows(std::int64_t rows, std::int64_t width, std::uint64_t seed, double deviation = 1.0) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::empty({rows, width}).normal_(0.0, deviation, generator);
}

// More rows than are worked on at once.
TEST(RelativeError, IsAutogradsValueAndGradient) {
  const at::Tensor student = random_rows(1500, 6, 1);
  const at::Tensor teacher = random_rows(1500, 6, 2, 30.0);
  const LossTerm term = relative_error(student, teacher, 0.25);
  const at::Tensor leaf = student.to(at::kDouble).requires_grad_();
  const at::Tensor t = teacher.to(at::kDouble);
  const at::Tensor want = ((leaf - t).square().sum(1) / t.square().sum(1)).sum();
  (want * 0.25).backward();
  EXPECT_NEAR(term.sum.item<double>(), want.item<double>(), 1e-6 * want.item<double>());
  EXPECT_LT(relative_difference(term.gradient.to(at::kDouble), leaf.grad()), 1e-6);
}

TEST(RelativeError, IsZeroForTheTeacherItselfAndFiniteForARowOfZeros) {
  const at::Tensor teacher = random_rows(4, 6, 2);
  EXPECT_EQ(relative_error(teacher, teacher, 1.0).sum.item<double>(), 0.0);
  EXPECT_EQ(relative_error(teacher, teacher, 1.0).gradient.abs().max().item<double>(), 0.0);
  const LossTerm term = relative_error(teacher, at::zeros_like(teacher), 1.0);
  EXPECT_TRUE(std::isfinite(term.sum.item<double>()));
  EXPECT_TRUE(at::isfinite(term.gradient).all().item<bool>());
}

TEST(SoftenedDivergence, IsAutogradsValueAndGradient) {
  for (const double temperature : {1.0, 2.5}) {
    const at::Tensor student = random_rows(5, 40, 3, 3.0);
    const at::Tensor teacher = random_rows(5, 40, 4, 3.0);
    const LossTerm term = softened_divergence(student, teacher, temperature, 0.5);
    const at::Tensor leaf = student.to(at::kDouble).requires_grad_();
    const at::Tensor p = at::softmax(teacher.to(at::kDouble) / temperature, 1);
    const at::Tensor want =
        at::kl_div(at::log_softmax(leaf / temperature, 1), p, at::Reduction::Sum) * temperature * temperature;
    (want * 0.5).backward();
    EXPECT_NEAR(term.sum.item<double>(), want.item<double>(), 1e-5 * want.item<double>());
    EXPECT_LT(relative_difference(term.gradient.to(at::kDouble), leaf.grad()), 1e-5);
  }
}

TuneOptions without_dropout(TuneOptions options) {
  options.lora.dropout = 0.0;
  return options;
}

DistillationOptions both_terms() {
  return {.hidden_weight = 0.7, .kl_weight = 0.4, .temperature = 2.0, .original = {0, 2, 3}, .layers = {}};
}

// A teacher of five layers, and a student that lost layers 1 and 4 of them.
struct Pair {
  explicit Pair(const TuneOptions& tune, const DistillationOptions& options = both_terms(),
                DecoderKind kind = DecoderKind::kLlama, Compute compute = Compute::kFloat32)
      : teacher(tiny_model({.kind = kind, .layers = 5}, compute)),
        student(teacher->without_layers(LayerSet(5, {1, 4}))),
        tunable(student, without_dropout(tune)),
        distillation(*teacher, student.config(), options) {
    scatter(tunable);
  }
  PassResult run(const std::vector<Sample>& batch, ActivationCheckpointing checkpointing, LossScale scale) {
    return TrainPass(tunable, checkpointing, &distillation).run(pack(batch), scale, 7);
  }
  at::Tensor gradients(const std::vector<Sample>& batch, ActivationCheckpointing checkpointing,
                       LossScale scale = {0.1, 0.02}) {
    tunable.parameters().zero_gradients();
    run(batch, checkpointing, scale);
    return tunable.parameters().gradients().clone();
  }

  std::unique_ptr<Lvlm> teacher;
  Lvlm student;
  Tunable tunable;
  Distillation distillation;
};

// The terms in plain operators, from whole forward passes of both models.
struct Reference {
  double ce = 0, hidden = 0, kl = 0;
};

Reference reference(const Pair& pair, LossScale scale) {
  const PackedBatch batch = pack(samples());
  const auto states_of = [&](const Lvlm& model) {
    std::vector<at::Tensor> states;
    model.forward(batch, [&](std::int64_t i, const at::Tensor& x) {
      if (i > 0) states.push_back(x.to(at::kDouble));
    });
    return states;
  };
  const auto mine = states_of(pair.student);
  const auto theirs = states_of(*pair.teacher);
  const auto error = [](const at::Tensor& s, const at::Tensor& t) {
    return ((s - t).square().sum(1) / t.square().sum(1)).sum().item<double>();
  };
  const auto at_targets = [&](const at::Tensor& x) { return x.index_select(0, batch.target_slots.to(x.device())); };
  Reference r;
  r.hidden = (scale.per_token * (error(mine[0], theirs[0]) + error(mine[1], theirs[2])) +
              scale.per_target * error(at_targets(mine[2]), at_targets(theirs[4]))) /
             3;
  const at::Tensor s = pair.student.logits(at_targets(mine[2]).to(at::kFloat)).to(at::kDouble);
  const at::Tensor t = pair.teacher->logits(at_targets(theirs[4]).to(at::kFloat)).to(at::kDouble);
  const double T = pair.distillation.options().temperature;
  r.kl = scale.per_target * T * T *
         at::kl_div(at::log_softmax(s / T, 1), at::softmax(t / T, 1), at::Reduction::Sum).item<double>();
  r.ce = at::cross_entropy_loss(s, batch.targets.to(s.device()), {}, at::Reduction::Sum).item<double>();
  return r;
}

TEST(Distillation, TermsAreThoseOfPlainOperators) {
  Pair pair(region({0, 2}));
  const LossScale scale{0.1, 0.02};
  const PassResult got = pair.run(samples(), ActivationCheckpointing::kNone, scale);
  const Reference want = reference(pair, scale);
  EXPECT_GT(want.hidden, 1e-3);
  EXPECT_NEAR(got.hidden.item<double>(), want.hidden, 1e-5 * want.hidden);
  EXPECT_NEAR(got.kl.item<double>(), want.kl, 1e-4 * want.kl);
  EXPECT_NEAR(got.nll.sum().item<double>(), want.ce, 1e-5 * want.ce);
}

TEST(Distillation, GradientsAreTheSlopeOfTheLoss) {
  for (const TuneKind kind : {TuneKind::kLora, TuneKind::kFull}) {
    Pair pair(region({0, 2}, kind));
    const LossScale scale{1.0, 0.2};
    const DistillationOptions& o = pair.distillation.options();
    expect_gradients_are_slopes(pair.tunable, [&] {
      const PassResult result = pair.run(samples(), ActivationCheckpointing::kNone, scale);
      return result.nll.to(at::kDouble).sum().item<double>() + o.hidden_weight * result.hidden.item<double>() +
             o.kl_weight * result.kl.item<double>();
    });
  }
}

// Without the answers' own loss nothing else would hide a term that is forgotten on its way back.
TEST(Distillation, EachTermHasAGradientOfItsOwn) {
  DistillationOptions hidden = both_terms();
  hidden.kl_weight = 0;
  DistillationOptions kl = both_terms();
  kl.hidden_weight = 0;
  const auto of = [](const DistillationOptions& options) {
    return Pair(region({0, 2}), options).gradients(samples(), ActivationCheckpointing::kNone);
  };
  Pair plain(region({0, 2}));
  plain.tunable.parameters().zero_gradients();
  TrainPass(plain.tunable, ActivationCheckpointing::kNone).run(pack(samples()), 0.1, 7);
  const at::Tensor ce = plain.tunable.parameters().gradients().clone();
  const at::Tensor sum = of(hidden) + of(kl) - ce;
  EXPECT_LT(relative_difference(sum, of(both_terms())), 1e-5);
  EXPECT_GT(relative_difference(of(hidden), ce), 1e-2);
  EXPECT_GT(relative_difference(of(kl), ce), 1e-2);
}

TEST(Distillation, PoliciesGiveTheSameGradientsBitForBit) {
  for (const DecoderKind kind : {DecoderKind::kLlama, DecoderKind::kPhi3}) {
    for (const Compute compute : {Compute::kFloat32, Compute::kBFloat16}) {
      Pair pair(region({0, 2}), both_terms(), kind, compute);
      const at::Tensor kept = pair.gradients(samples(), ActivationCheckpointing::kNone);
      EXPECT_GT(kept.norm().item<double>(), 0.0);
      EXPECT_TRUE(at::equal(kept, pair.gradients(samples(), ActivationCheckpointing::kMlp)));
      EXPECT_TRUE(at::equal(kept, pair.gradients(samples(), ActivationCheckpointing::kLayer)));
    }
  }
}

TEST(Distillation, PackingDoesNotChangeTheTerms) {
  Pair pair(region({1}));
  const at::Tensor together = pair.gradients(samples(), ActivationCheckpointing::kNone);
  const PassResult whole = pair.run(samples(), ActivationCheckpointing::kNone, {0.1, 0.02});
  at::Tensor alone = at::zeros_like(together);
  double hidden = 0, kl = 0;
  for (const Sample& sample : samples()) {
    alone += pair.gradients({sample}, ActivationCheckpointing::kNone);
    const PassResult part = pair.run({sample}, ActivationCheckpointing::kNone, {0.1, 0.02});
    hidden += part.hidden.item<double>();
    kl += part.kl.item<double>();
  }
  EXPECT_LT(relative_difference(alone, together), 1e-5);
  EXPECT_NEAR(hidden, whole.hidden.item<double>(), 1e-5 * whole.hidden.item<double>());
  EXPECT_NEAR(kl, whole.kl.item<double>(), 1e-5 * whole.kl.item<double>());
}

TEST(Distillation, AStudentThatIsTheTeacherHasNothingToLearn) {
  const auto teacher = tiny_model();
  const auto student = tiny_model();
  Tunable tunable(*student, without_dropout(region({0, 1, 2})));
  const Distillation distillation(*teacher, student->config(),
                                  {.hidden_weight = 1, .kl_weight = 1, .original = {0, 1, 2}, .layers = {}});
  const PassResult result =
      TrainPass(tunable, ActivationCheckpointing::kNone, &distillation).run(pack(samples()), LossScale{0.1, 0.02}, 0);
  EXPECT_LT(result.hidden.item<double>(), 1e-10);
  EXPECT_LT(std::abs(result.kl.item<double>()), 1e-6);
}

TEST(Distillation, LayersThatCannotChangeAreLeftOut) {
  TuneOptions options = region({1});
  options.freeze_projector = true;
  Pair pair(options);
  EXPECT_THAT(pair.distillation.compared(pair.tunable.lowest_backward_layer()), ElementsAre(1, 2));
  const TeacherStates states = pair.distillation.observe(pack(samples()), 30, 1);
  EXPECT_FALSE(states.outputs[0].defined());
  EXPECT_EQ(states.outputs[1].size(0), 30);
  EXPECT_EQ(states.outputs[2].size(0), pack(samples()).targets.size(0));
  pair.gradients(samples(), ActivationCheckpointing::kLayer);
}

TEST(Distillation, ATowerThatIsTrainedIsComparedWithTheTeachersOwn) {
  TuneOptions options = region({1});
  options.tune_vision_tower = true;
  Pair pair(options);
  PackedBatch batch = pack(samples());
  batch.image_features.reset();
  batch.pixels = random_rows(3, 3 * 28 * 28, 9).view({3, 3, 28, 28});
  const TeacherStates states = pair.distillation.observe(batch, batch.tokens(), 0);
  PackedBatch with_features = batch;
  with_features.pixels.reset();
  with_features.image_features = tiny_model({.layers = 5})->vision_features(batch.pixels).flatten(0, 1);
  const TeacherStates want = pair.distillation.observe(with_features, batch.tokens(), 0);
  EXPECT_TRUE(at::equal(states.outputs[1], want.outputs[1]));
  TrainPass(pair.tunable, ActivationCheckpointing::kNone, &pair.distillation).run(batch, LossScale{0.1, 0.02}, 0);
}

TEST(Distillation, RefusesWhatIsNoTeacher) {
  const auto teacher = tiny_model({.layers = 3});
  const auto refused = [&](const ModelConfig& student, const DistillationOptions& options, const std::string& what) {
    try {
      const Distillation distillation(*teacher, student, options);
      ADD_FAILURE() << "accepted: " << what;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_THAT(error.what(), HasSubstr(what));
      EXPECT_NE(error.hint(), "");
    }
  };
  const DistillationOptions fine{.hidden_weight = 1, .original = {0, 2}, .layers = {}};
  const ModelConfig student = tiny_config({.layers = 2});
  EXPECT_NO_THROW(Distillation(*teacher, student, fine));
  ModelConfig wider = student;
  wider.decoder.hidden_size = 64;
  refused(wider, fine, "the teacher has width 32, but the model has 64");
  refused(tiny_config({.layers = 2, .vocab_size = 97}), fine, "the teacher has vocabulary 96, but the model has 97");
  DistillationOptions options = fine;
  options.original = {0, 3};
  refused(student, options, "the model has the former layer 3, but the teacher has layers 0 to 2");
  options = fine;
  options.hidden_weight = 0;
  refused(student, options, "both distillation losses have weight 0");
  options = fine;
  options.kl_weight = -1;
  refused(student, options, "weight -1");
  options = fine;
  options.temperature = 0;
  refused(student, options, "`temperature` 0");
  options = fine;
  options.layers = LayerSet(3, {2});
  refused(student, options, "`hidden_layers` is for a model of 3 layers");
}

}  // namespace
}  // namespace striate::test
