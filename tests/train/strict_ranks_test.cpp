// Everything that ranks sum, on a backend that refuses tensors in main memory, as NCCL does.
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/eval/layer_scoring.h"
#include "striate/train/training_run.h"
#include "tests/data/small_world.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/strict_group.h"
#include "tests/support/test_device.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const at::TensorOptions kFloats(at::kFloat);

TEST(StrictBackend, RefusesTensorsInMainMemory) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  const auto backend = strict_backend(store, Ranks{});
  std::vector<at::Tensor> host = {at::full({3}, 1.0, kFloats)};
  EXPECT_THROW(backend->allreduce(host), std::exception);
  std::vector<at::Tensor> device = {host[0].to(pretend_device())};
  backend->allreduce(device)->wait();
  EXPECT_TRUE(at::equal(device[0].cpu(), host[0]));
}

TEST(StrictBackend, ItsMemoryCannotBeReadByTheProgram) {
  const at::Tensor device = at::full({3}, 1.0, kFloats).to(pretend_device());
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(::write(ends[1], device.data_ptr(), 4), -1);
  EXPECT_EQ(errno, EFAULT);
  for (const int handle : ends) ::close(handle);
}

// By the number of ranks.
class StrictRanks : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    STRIATE_REQUIRE_NO_GPU();
    sums_before_ = strict_sums();
  }
  // That the sums went through the strict backend, on every rank.
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_GE(strict_sums() - sums_before_, GetParam());
  }

  static int size() { return GetParam(); }
  static void run(const std::function<void(Collective&)>& body) {
    EXPECT_EQ(join(on_strict_ranks(size(), body), ""), "");
  }

 private:
  std::int64_t sums_before_ = 0;
};

TEST_P(StrictRanks, SumNumbersAndTensorsOfEitherDevice) {
  run([](Collective& group) {
    const double all = size() * (size() + 1) / 2.0;
    const at::Tensor floats = at::full({2, 5}, 1.0 + group.rank(), kFloats);
    group.sum(floats);
    EXPECT_TRUE(at::equal(floats, at::full({2, 5}, all, kFloats)));
    const at::Tensor there = at::full({7}, 1.0 + group.rank(), kFloats).to(pretend_device());
    group.sum(there);
    EXPECT_TRUE(at::equal(there.cpu(), at::full({7}, all, kFloats)));
    const at::Tensor big = at::full({(1 << 24) + 3}, 1.0, kFloats);
    group.sum(big);
    EXPECT_EQ(big.min().item<float>(), static_cast<float>(size()));
    EXPECT_EQ(big.max().item<float>(), static_cast<float>(size()));
    std::vector<double> values = {0.5, 1.0 + group.rank()};
    group.sum(values);
    EXPECT_EQ(values, (std::vector<double>{0.5 * size(), all}));
    group.barrier();
    EXPECT_TRUE(group.agree("one plan"));
    EXPECT_EQ(group.agree(cat("plan of ", group.rank())), size() == 1);
    group.finish();
  });
}

// Runs and scores of a small world.
class StrictRuns : public StrictRanks {
 protected:
  void SetUp() override {
    StrictRanks::SetUp();
    make_checkpoint(model(), {.vocab = 264});
  }
  fs::path model() const { return world_.path("model"); }

  TrainingRequest request(const std::string& out) const {
    TrainingRequest r;
    r.model.model = model();
    r.placement = exact_placement();
    r.tokenizer = world_.path("tokenizer");
    r.layers = "1,3";
    r.tune.lora.rank = 2;
    r.tune.lora.alpha = 4;
    r.data = world_.options();
    r.held_out.data = world_.data();
    r.held_out.images = world_.images();
    r.held_out.samples = 5;
    r.held_out.every = 2;
    r.held_out.max_tokens = 3;
    r.steps = 4;
    r.rates = {1e-3, 1e-2, 0, 0};
    r.save_every = 2;
    r.out = world_.path(out);
    return r;
  }
  std::vector<nlohmann::json> metrics(const std::string& out) const {
    std::vector<nlohmann::json> lines;
    for (const std::string& line : split(read_file(world_.path(out) / "metrics.jsonl"), '\n')) {
      if (!line.empty()) lines.push_back(nlohmann::json::parse(line));
    }
    return lines;
  }
  void expect_same_losses(const std::string& a, const std::string& b) const {
    const auto one = metrics(a);
    const auto two = metrics(b);
    ASSERT_EQ(one.size(), two.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      for (const char* key : {"loss", "eval_loss"}) {
        ASSERT_EQ(one[i].contains(key), two[i].contains(key)) << one[i] << two[i];
        if (!one[i].contains(key)) continue;
        EXPECT_NEAR(one[i][key].get<double>(), two[i][key].get<double>(), 2e-5) << key;
      }
    }
  }

  // Bit for bit.
  void expect_same_run(const std::string& a, const std::string& b) const {
    for (const char* name : {"adapter_model.safetensors", "non_lora_trainables.safetensors",
                             "checkpoints/step-000004/parameters.safetensors",
                             "checkpoints/step-000004/optimizer.safetensors", "checkpoints/step-000004/state.json"}) {
      EXPECT_EQ(read_file(world_.path(a) / name), read_file(world_.path(b) / name)) << a << b << name;
    }
    const auto one = metrics(a), two = metrics(b);
    ASSERT_EQ(one.size(), two.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      for (const char* key : {"loss", "grad_norm", "eval_loss"}) {
        EXPECT_EQ(one[i].value(key, 0.0), two[i].value(key, 0.0)) << key;
      }
    }
  }

  SmallWorld world_{24};
};

TEST_P(StrictRuns, ARunTrainsEvaluatesSavesAndResumes) {
  run_training(request("alone"), Ranks{}, {});
  run([&](Collective& group) { run_training(request("together"), group, {}); });
  expect_same_losses("alone", "together");
  ASSERT_TRUE(fs::exists(world_.path("together/adapter_model.safetensors")));
  // As if it had been stopped after its first checkpoint.
  fs::remove_all(world_.path("together/checkpoints/step-000004"));
  run([&](Collective& group) {
    TrainingRequest again = request("together");
    again.resume = true;
    EXPECT_EQ(run_training(again, group, {}).plan.first_step, 2);
  });
  expect_same_losses("alone", "together");
}

// Losses, result and checkpoints; and a run goes on with a shared optimiser or without. In bf16 the ranks share the
// master values as well.
TEST_P(StrictRuns, ASharedOptimizerChangesNoBit) {
  for (const Placement& placement : {exact_placement(), Placement{pretend_device(), Compute::kBFloat16}}) {
    const std::string kind = placement.compute == Compute::kBFloat16 ? "bf16" : "fp32";
    const auto train = [&](const std::string& out, bool shared, bool resume = false) {
      TrainingRequest wide = request(out + kind);
      wide.placement = placement;
      wide.tune.lora.rank = 192;  // so that every rank has blocks of its own
      wide.shard_optimizer = shared;
      wide.resume = resume;
      run([&](Collective& group) { run_training(wide, group, {}); });
    };
    train("whole", false);
    train("shared", true);
    fs::copy(world_.path("whole" + kind), world_.path("mixed" + kind), fs::copy_options::recursive);
    fs::remove_all(world_.path("mixed" + kind) / "checkpoints/step-000004");
    train("mixed", true, true);
    for (const std::string out : {"shared", "mixed"}) expect_same_run("whole" + kind, out + kind);
  }
}

// With frozen layers in fewer bits, whose codes every rank has for itself.
class StrictQuantizedRuns : public StrictRuns {};

TEST_P(StrictQuantizedRuns, ASharedOptimizerChangesNoBit) {
  for (const FrozenPrecision precision : {FrozenPrecision::kFp8, FrozenPrecision::kInt8, FrozenPrecision::kNf4}) {
    const std::string name = frozen_precision_name(precision);
    for (const bool shared : {false, true}) {
      TrainingRequest quantized = request((shared ? "shared " : "whole ") + name);
      quantized.placement = {pretend_device(), Compute::kBFloat16};
      quantized.tune.frozen_precision = precision;
      quantized.tune.lora.rank = 192;  // so that every rank has blocks of its own
      quantized.shard_optimizer = shared;
      run([&](Collective& group) { run_training(quantized, group, {}); });
    }
    expect_same_run("whole " + name, "shared " + name);
  }
  // The precision decides the result.
  const std::string result = "adapter_model.safetensors";
  EXPECT_NE(read_file(world_.path("shared fp8") / result), read_file(world_.path("shared int8") / result));
  EXPECT_NE(read_file(world_.path("shared int8") / result), read_file(world_.path("shared nf4") / result));
}

TEST_P(StrictRuns, EveryRankSeesALossThatIsNotFinite) {
  std::mutex mutex;
  int seen = 0;
  run([&](Collective& group) {
    TrainingRequest wild = request("wild");
    wild.rates = {1e30, 1e30, 0, 0};
    wild.max_gradient_norm = 0;
    wild.held_out = {};
    try {
      run_training(wild, group, {});
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("is not finite"));
      const std::lock_guard lock(mutex);
      ++seen;
    }
  });
  EXPECT_EQ(seen, size());
}

TEST_P(StrictRuns, ScoresAreThoseOfOneProcess) {
  EvaluationOptions data;
  data.data = world_.data();
  data.images = world_.images();
  const auto score = [&](Collective& group) {
    EvaluationSet set(world_.model(), world_.tokenizer(), data);
    ScoreFile file;
    score_samples(world_.model(), set, group, {}, 256).report(file);
    group.finish();
    return file;
  };
  const ScoreFile alone = score(*join_ranks({}, at::kCPU));
  run([&](Collective& group) {
    const ScoreFile file = score(group);
    EXPECT_EQ(file.samples, alone.samples);
    for (const std::string& name : alone.metric_names()) {
      const std::vector<double>& want = alone.metric(name).mean;
      ASSERT_EQ(file.metric(name).mean.size(), want.size());
      for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(file.metric(name).mean[i], want[i], 1e-6) << name;
    }
  });
}

std::string ranks_name(const testing::TestParamInfo<int>& info) {
  return cat("Of", info.param);
}
INSTANTIATE_TEST_SUITE_P(Of, StrictRanks, testing::Values(1, 2, 3), ranks_name);
INSTANTIATE_TEST_SUITE_P(Of, StrictRuns, testing::Values(1, 2, 3), ranks_name);
INSTANTIATE_TEST_SUITE_P(Of, StrictQuantizedRuns, testing::Values(2), ranks_name);

}  // namespace
}  // namespace striate::test
