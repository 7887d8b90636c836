// Gradients that leave during the backward pass, and an optimiser that the ranks share. Ranks are threads, on Gloo and
// on a backend that refuses tensors in main memory.
#include "striate/train/gradient_sum.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <optional>
#include <stdexcept>

#include "striate/base/strings.h"
#include "striate/train/optimizer.h"
#include "striate/train/train_pass.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/strict_group.h"
#include "tests/support/test_device.h"
#include "tests/train/gradient_checks.h"
#include "tests/train/random_tensor.h"

namespace striate::test {
namespace {

constexpr std::int64_t kBlock = BlockShare::kBlock;
constexpr std::int64_t kSmall = 1;  // bytes: buckets of one row

// Parameters of several kinds whose borders are not those of blocks; not quite six blocks of them.
ParameterSet parameters(at::Device device, Compute compute = Compute::kFloat32) {
  const auto one = [&](const std::string& name, ParameterGroup group, bool decays, std::int64_t size) {
    auto made = std::make_shared<Parameter>();
    made->name = name;
    made->group = group;
    made->decays = decays;
    made->rounded_suffices = decays;
    made->value = random_tensor({size}, made->name.size() + static_cast<std::uint64_t>(size)).to(device);
    return made;
  };
  return ParameterSet({one("projector.0.weight", ParameterGroup::kProjector, true, kBlock + 101),
                       one("projector.0.bias", ParameterGroup::kProjector, false, 77),
                       one("model.layers.0.mlp.up_proj.weight", ParameterGroup::kDecoder, true, 2 * kBlock + 5),
                       one("model.layers.0.input_layernorm.weight", ParameterGroup::kDecoder, false, 13),
                       one("model.layers.1.mlp.up_proj.weight", ParameterGroup::kDecoder, true, 2 * kBlock - 3),
                       one("model.norm.weight", ParameterGroup::kDecoder, false, kBlock / 2)},
                      compute);
}

at::Tensor gradients_of(int rank, std::int64_t count, int step = 0) {
  return random_tensor({count}, 1000 + static_cast<std::uint64_t>(10 * step + rank));
}

// As a plain loop over ranks adds them up.
at::Tensor sum_in_order(int ranks, std::int64_t count, int step = 0) {
  at::Tensor sum = gradients_of(0, count, step).clone();
  for (int rank = 1; rank < ranks; ++rank) sum.add_(gradients_of(rank, count, step));
  return sum;
}

struct Ground {
  bool strict;
  int ranks;
};
// By the kind of group and the number of ranks.
class Grounds : public testing::TestWithParam<Ground> {
 protected:
  void SetUp() override {
    if (GetParam().strict) STRIATE_REQUIRE_NO_GPU();
  }
  static int ranks() { return GetParam().ranks; }
  static at::Device device() { return GetParam().strict ? pretend_device() : at::Device(at::kCPU); }
  static void run(const std::function<void(Collective&)>& body) {
    const auto whole = [&](Collective& group) {
      body(group);
      group.finish();
    };
    const auto errors = GetParam().strict ? on_strict_ranks(ranks(), whole) : on_gloo_ranks(ranks(), whole);
    EXPECT_EQ(join(errors, ""), "");
  }
};

class GradientSums : public Grounds {};

TEST_P(GradientSums, AreThoseOfALoopOverRanksWhateverTheBuckets) {
  run([](Collective& group) {
    for (const std::int64_t bucket : {kSmall, 3 * kBlock * 4, kGradientBucket}) {
      const ParameterSet set = parameters(device());
      GradientSum sum(set, group, bucket);
      for (int step = 0; step < 2; ++step) {
        set.gradients().copy_(gradients_of(group.rank(), set.count(), step));
        sum.begin();
        // One rank has nothing to pass back: it sends when the others are done.
        for (std::int64_t layer = 2; layer >= 0 && group.rank() != 1; --layer) sum.passed(layer);
        sum.finish();
        EXPECT_TRUE(at::equal(set.gradients().cpu(), sum_in_order(ranks(), set.count(), step))) << bucket;
      }
    }
  });
}

TEST_P(GradientSums, ARanksOwnBlocksAreTheSame) {
  run([](Collective& group) {
    const ParameterSet set = parameters(device());
    const BlockShare share(set.count(), group.rank(), ranks());
    const at::Tensor own = at::zeros({share.own_size()}, set.values().options());
    GradientSum sum(set, group, kSmall, own);
    set.gradients().copy_(gradients_of(group.rank(), set.count()));
    sum.begin();
    sum.finish();
    const at::Tensor whole = sum_in_order(ranks(), set.count());
    for (const BlockShare::Piece& piece : share.own_pieces()) {
      EXPECT_TRUE(at::equal(own.slice(0, piece.own, piece.own + piece.end - piece.begin).cpu(),
                            whole.slice(0, piece.begin, piece.end)));
    }
  });
}

// What is left of a few steps.
struct TrainedValues {
  at::Tensor values;  // undefined on other ranks than the first, where the ranks share them
  at::Tensor rounded;
  std::vector<at::Tensor> kept;               // the values that no rank drops
  std::map<std::string, at::Tensor> moments;  // and values, by name
  std::vector<double> norms;
};

void expect_same(const TrainedValues& a, const TrainedValues& b) {
  if (a.values.defined() && b.values.defined()) {
    EXPECT_TRUE(at::equal(a.values, b.values));
  }
  ASSERT_EQ(a.kept.size(), b.kept.size());
  for (std::size_t i = 0; i < a.kept.size(); ++i) EXPECT_TRUE(at::equal(a.kept[i], b.kept[i])) << i;
  EXPECT_EQ(a.rounded.defined(), b.rounded.defined());
  if (a.rounded.defined()) {
    EXPECT_TRUE(at::equal(a.rounded, b.rounded));
  }
  EXPECT_EQ(a.norms, b.norms);
}

void expect_same_moments(const TrainedValues& a, const TrainedValues& b) {
  ASSERT_EQ(a.moments.size(), b.moments.size());
  for (const auto& [name, moment] : a.moments) EXPECT_TRUE(at::equal(moment, b.moments.at(name))) << name;
}

constexpr int kHalf = 2, kAll = 4;

// Steps [first, last) with the gradients of so many ranks. `collective` is null for a process that adds them up alone.
TrainedValues take_steps(ParameterSet& set, AdamW& optimizer, Collective* collective, int ranks, int first, int last) {
  TrainedValues trained;
  std::optional<GradientSum> sum;
  if (collective != nullptr) sum.emplace(set, *collective, kSmall, optimizer.own_gradients());
  for (int step = first; step < last; ++step) {
    if (collective != nullptr) {
      set.gradients().copy_(gradients_of(collective->rank(), set.count(), step));
      sum->begin();
      sum->finish();
    } else {
      set.gradients().copy_(sum_in_order(ranks, set.count(), step));
    }
    const at::Tensor& told = optimizer.step_if_finite({1e-2, 2e-2, 3e-2, 0}, step == 1 ? 0.0 : 0.5);
    trained.norms.push_back(told[kStepNorm].item<double>());
  }
  std::vector<at::Tensor> values;
  for (const auto& [name, value] : optimizer.values()) values.push_back(value.cpu().reshape({-1}));
  if (!values.empty()) trained.values = at::cat(values);
  for (const auto& parameter : set.all()) {
    if (parameter->value.defined() && !parameter->rounded_suffices) {
      trained.kept.push_back(parameter->value.cpu().clone());
    }
  }
  if (set.rounded().defined()) trained.rounded = set.rounded().cpu().clone();
  for (const NamedTensors& tensors : {optimizer.values(), optimizer.moments()}) {
    for (const auto& [name, tensor] : tensors) trained.moments[name] = tensor.cpu().clone();
  }
  return trained;
}

const AdamWOptions kDecays{.weight_decay = 0.1};

class SharedOptimizer : public Grounds {
 protected:
  // What one process gets from the sums of all ranks' gradients, over the first steps and over the rest.
  static std::pair<TrainedValues, TrainedValues> alone(Compute compute) {
    ParameterSet set = parameters(device(), compute);
    AdamW optimizer(set, kDecays);
    const TrainedValues half = take_steps(set, optimizer, nullptr, ranks(), 0, kHalf);
    return {half, take_steps(set, optimizer, nullptr, ranks(), kHalf, kAll)};
  }
};

TEST_P(SharedOptimizer, HasTheBitsOfOneThatIsNotShared) {
  for (const Compute compute : {Compute::kFloat32, Compute::kBFloat16}) {
    const auto [half, rest] = alone(compute);
    run([&](Collective& group) {
      ParameterSet set = parameters(device(), compute);
      AdamW optimizer(set, kDecays, &group);
      EXPECT_EQ(set.values().defined(), compute == Compute::kFloat32) << "masters are shared as well";
      const TrainedValues mine = take_steps(set, optimizer, &group, ranks(), 0, kHalf);
      expect_same(mine, half);
      if (group.rank() == 0) expect_same_moments(mine, half);
      EXPECT_EQ(optimizer.moments().empty(), group.rank() != 0);
      const TrainedValues after = take_steps(set, optimizer, &group, ranks(), kHalf, kAll);
      expect_same(after, rest);
      if (group.rank() == 0) expect_same_moments(after, rest);
      EXPECT_EQ(optimizer.updates(), kAll);
      optimizer.return_values();
      if (group.rank() == 0) {
        for (const auto& p : set.all()) EXPECT_TRUE(at::equal(p->value.cpu(), rest.moments.at(p->name))) << p->name;
      }
    });
  }
}

TEST_P(SharedOptimizer, GoesOnWhereAnotherStoodSharedOrNot) {
  const auto [half, rest] = alone(Compute::kBFloat16);
  run([&](Collective& group) {
    for (Collective* sharing : {&group, static_cast<Collective*>(nullptr)}) {
      ParameterSet set = parameters(device(), Compute::kBFloat16);
      AdamW optimizer(set, kDecays, sharing);
      optimizer.restore([&](const std::string& name, at::IntArrayRef) { return half.moments.at(name); }, kHalf);
      expect_same(take_steps(set, optimizer, &group, ranks(), kHalf, kAll), rest);
    }
  });
}

TEST_P(SharedOptimizer, ABadStepChangesNothingOnAnyRank) {
  run([](Collective& group) {
    ParameterSet set = parameters(device());
    AdamW optimizer(set, kDecays, &group);
    const at::Tensor before = set.values().cpu().clone();
    GradientSum sum(set, group, kSmall, optimizer.own_gradients());
    set.zero_gradients();
    if (group.rank() == ranks() - 1) set.gradients()[3 * kBlock] = std::numeric_limits<float>::quiet_NaN();
    sum.begin();
    sum.finish();
    EXPECT_EQ(optimizer.step_if_finite({1, 1, 1, 1}, 1.0)[kStepApplied].item<double>(), 0.0);
    EXPECT_TRUE(at::equal(set.values().cpu(), before));
    EXPECT_EQ(optimizer.updates(), 0);
  });
}

// Forwards to a group and looks at something whenever an exchange begins.
class Watched final : public Collective {
 public:
  Watched(Collective& group, std::function<void()> look) : group_(group), look_(std::move(look)) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  void sum(const at::Tensor& tensor) override { group_.sum(tensor); }
  std::unique_ptr<Transfer> begin_exchange(const at::Tensor& sent, const at::Tensor& received) override {
    look_();
    return group_.begin_exchange(sent, received);
  }
  std::unique_ptr<Transfer> begin_gather(const at::Tensor& own, const at::Tensor& all) override {
    return group_.begin_gather(own, all);
  }
  void wait_until(const std::function<bool()>& done) override { group_.wait_until(done); }
  std::unique_ptr<RankExchange> open_exchange(const std::string& name) override { return group_.open_exchange(name); }
  void report_failure(const std::string& message) override { group_.report_failure(message); }
  void finish() override { group_.finish(); }

 private:
  Collective& group_;
  std::function<void()> look_;
};

// Adapters of a few blocks in every layer.
TuneOptions wide_region() {
  TuneOptions options = region({0, 1, 2});
  options.lora.rank = 512;
  options.lora.dropout = 0;
  return options;
}

const at::Tensor& gradient_of(const Tunable& tunable, const std::string& name) {
  for (const auto& parameter : tunable.parameters().all()) {
    if (parameter->name.find(name) != std::string::npos) return parameter->gradient;
  }
  throw std::runtime_error(name);
}

TEST_P(GradientSums, LeaveWhileTheBackwardPassStillRuns) {
  const Placement placement{device(), GetParam().strict ? Compute::kBFloat16 : Compute::kFloat32};
  run([&](Collective& group) {
    const auto model = tiny_model_on(placement);
    Tunable tunable(*model, wide_region());
    scatter(tunable);
    // Of the lowest layer, the last in the backward pass, and of the highest.
    std::vector<bool> lowest_was_done, highest_was_done;
    Watched watched(group, [&] {
      const auto done = [&](const char* name) { return gradient_of(tunable, name).abs().max().item<float>() > 0; };
      lowest_was_done.push_back(done("layers.0.self_attn.q_proj.lora_B"));
      highest_was_done.push_back(done("layers.2.self_attn.q_proj.lora_B"));
    });
    TrainPass pass(tunable, ActivationCheckpointing::kNone);
    GradientSum sum(tunable.parameters(), watched, kSmall);
    tunable.parameters().zero_gradients();
    sum.begin();
    pass.run(pack(samples()), 1.0, 0, [&sum](std::int64_t layer) { sum.passed(layer); });
    sum.finish();
    ASSERT_GT(lowest_was_done.size(), 2U);
    EXPECT_FALSE(lowest_was_done.front()) << "the first bucket left before the lowest layer's backward pass";
    EXPECT_TRUE(highest_was_done.front()) << "and not before its own gradients were there";
    EXPECT_TRUE(lowest_was_done.back());
  });
}

std::string ground_name(const testing::TestParamInfo<Ground>& info) {
  return cat(info.param.strict ? "Strict" : "Gloo", info.param.ranks);
}
const auto kGrounds = testing::Values(Ground{false, 1}, Ground{false, 2}, Ground{false, 3}, Ground{true, 1},
                                      Ground{true, 2}, Ground{true, 3});
INSTANTIATE_TEST_SUITE_P(On, GradientSums, kGrounds, ground_name);
INSTANTIATE_TEST_SUITE_P(On, SharedOptimizer, kGrounds, ground_name);

}  // namespace
}  // namespace striate::test
