// PiSSA and OLoRA: the start is what their papers say it is, and an adapter that did not move changes nothing.
#include "striate/model/adapter_start.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/adapter_file.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

at::Tensor random(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::randn({rows, columns}, generator);
}

double largest(const at::Tensor& x) {
  return x.abs().max().item<double>();
}

TEST(AdapterStartOfPissa, IsTheBestApproximationOfItsRankHoweverTheWeightLies) {
  constexpr std::int64_t kRank = 3;
  constexpr double kScale = 4;
  for (const auto& [out, in] : {std::pair(20, 33), std::pair(33, 20), std::pair(16, 16)}) {
    const at::Tensor weight = random(out, in, 3);
    const auto [u, s, vh] = at::linalg_svd(weight, /*full_matrices=*/false);
    const at::Tensor best =
        at::matmul(at::matmul(u.slice(1, 0, kRank), at::diag(s.slice(0, 0, kRank))), vh.slice(0, 0, kRank));
    const LowRankProduct start = adapter_start(AdapterStart::kPissa, weight, kRank, kScale);
    EXPECT_EQ(start.a.sizes(), (std::vector<std::int64_t>{kRank, in}));
    EXPECT_EQ(start.b.sizes(), (std::vector<std::int64_t>{out, kRank}));
    EXPECT_LE(largest(at::matmul(start.b, start.a) * kScale - best), 1e-5) << out << " x " << in;
  }
}

TEST(AdapterStartOfOlora, IsTheFirstColumnsAndRowsOfQAndR) {
  constexpr std::int64_t kRank = 4;
  for (const auto& [out, in] : {std::pair(20, 33), std::pair(33, 20)}) {
    const at::Tensor weight = random(out, in, 5);
    const auto [q, r] = at::linalg_qr(weight, "reduced");
    const LowRankProduct start = adapter_start(AdapterStart::kOlora, weight, kRank, 0.5);
    EXPECT_LE(largest(at::matmul(start.b, start.a) - at::matmul(q.slice(1, 0, kRank), r.slice(0, 0, kRank))), 1e-5);
  }
}

TEST(AdapterStart, OfMoreRankThanTheWeightIsRefused) {
  EXPECT_ERROR(adapter_start(AdapterStart::kPissa, random(4, 9, 1), 5, 1),
               "an adapter of rank 5 that started from a weight [4, 9]");
  EXPECT_ERROR(adapter_start(AdapterStart::kOlora, random(9, 4, 1), 5, 1),
               "an adapter of rank 5 that started from a weight [9, 4]");
}

// W - scale B0 A0 + scale B A with B A = B0 A0 is W, and with another B A it is what the definition says.
TEST(AdapterStart, IsTakenOffTheWeightThatTheAdapterIsUsedOn) {
  const TemporaryFolder folder;
  const at::Tensor weight = random(24, 16, 7);
  for (const char* name : {"pissa", "olora"}) {
    write_file(folder.path() / "adapter_config.json",
               cat(R"({"peft_type": "LORA", "r": 2, "lora_alpha": 3, "init_lora_weights": ")", name, "\"}"));
    const AdapterStart kind = std::string(name) == "pissa" ? AdapterStart::kPissa : AdapterStart::kOlora;
    const LowRankProduct start = adapter_start(kind, weight, 2, 1.5);
    const at::Tensor moved = start.b + random(24, 2, 8);
    for (const at::Tensor& b : {start.b, moved}) {
      const std::string module = "base_model.model.model.layers.0.self_attn.q_proj.";
      write_safetensors(folder.path() / "adapter_model.safetensors",
                        {{module + "lora_A.weight", start.a}, {module + "lora_B.weight", b}});
      const AdapterFile adapter(folder.path());
      const AdapterUpdate update = adapter.update(adapter.pairs().front(), weight);
      const at::Tensor change = at::matmul(update.b, update.a) * update.scale;
      EXPECT_LE(largest(change - at::matmul(b - start.b, start.a) * 1.5), 1e-5) << name;
      EXPECT_EQ(update.a.size(0), 4) << "the start is a second pair beside the first";
    }
  }
}

}  // namespace
}  // namespace striate::test
