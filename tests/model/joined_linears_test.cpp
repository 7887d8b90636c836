// On a device the linears that read the same rows are one product; each is still there under its name.
#include "striate/model/joined_linears.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <gtest/gtest.h>

#include "tests/support/test_device.h"
#include "tests/support/tiny_model.h"

namespace striate::test {
namespace {

std::map<std::string, at::Tensor> weights_of(const DecoderLayer& layer) {
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, linear] : layer.linears()) weights[name] = linear->matrix().weight();
  return weights;
}

TEST(JoinedLinears, EveryLinearHasItsOwnWeightsUnderItsName) {
  const auto expected = tiny_model_on({at::kCPU, Compute::kFloat32});
  const auto model = tiny_model_on({other_device(), Compute::kFloat32});
  for (std::size_t i = 0; i < model->decoder().layers().size(); ++i) {
    const auto want = weights_of(expected->decoder().layers()[i]);
    const auto got = weights_of(model->decoder().layers()[i]);
    ASSERT_EQ(got.size(), want.size());
    for (const auto& [name, weight] : want) EXPECT_TRUE(at::equal(got.at(name).cpu(), weight)) << name;
    EXPECT_TRUE(got.at("self_attn.q_proj").is_alias_of(got.at("self_attn.v_proj")));
    EXPECT_TRUE(got.at("mlp.gate_proj").is_alias_of(got.at("mlp.up_proj")));
    EXPECT_FALSE(want.at("mlp.gate_proj").is_alias_of(want.at("mlp.down_proj")));
  }
}

TEST(JoinedLinears, ALinearThatIsReplacedByOtherWeightsComputesWithThem) {
  const at::Device device = other_device();
  const auto run = [](Lvlm& model) {
    DecoderLayer& layer = model.decoder().layers()[0];
    const FrozenMatrix k = layer.linears()[1].second->matrix();
    const FrozenMatrix up = layer.linears()[5].second->matrix();
    layer.replace_linear("self_attn.k_proj", std::make_shared<FrozenLinear>(FrozenMatrix(k.weight() * 2)));
    layer.replace_linear("mlp.up_proj", std::make_shared<FrozenLinear>(FrozenMatrix(up.weight() * 2)));
    const PackedBatch batch = pack(std::vector<Sample>{{{1, 5, 9, 30}, {}, {}}});
    StreamAttention attention(batch.cu_seqlens, std::nullopt);
    const at::Tensor x = model.decoder().embed(batch.token_ids);
    return model.decoder().forward(x, batch.positions, attention).cpu();
  };
  const auto expected = tiny_model_on({at::kCPU, Compute::kFloat32});
  const auto model = tiny_model_on({device, Compute::kFloat32});
  EXPECT_TRUE(at::allclose(run(*model), run(*expected), 1e-4, 1e-5));
}

TEST(JoinedLinears, LoadingHoldsNoSecondCopyOfTheWeights) {
  const at::Device device = other_device();
  c10::DeviceAllocator& memory = *c10::getDeviceAllocator(device.type());
  const auto bytes = [&] { return memory.getDeviceStats(device.index()).allocated_bytes[0]; };
  const std::int64_t before = bytes().current;
  memory.resetPeakStats(device.index());
  const auto model = tiny_model_on({device, Compute::kBFloat16}, {.layers = 8});
  const std::int64_t loaded = bytes().current - before;
  EXPECT_LE(bytes().peak - before, loaded + loaded / 8);
}

TEST(JoinedLinears, OnlyNeighboursLieSideBySide) {
  const at::Tensor all = at::arange(40).view({4, 10});
  const at::Tensor a = all.slice(1, 0, 3), b = all.slice(1, 3, 7), c = all.slice(1, 7);
  EXPECT_TRUE(at::equal(side_by_side(a, b), all.slice(1, 0, 7)));
  EXPECT_TRUE(at::equal(side_by_side(b, c), all.slice(1, 3)));
  EXPECT_FALSE(side_by_side(b, a).defined());
  EXPECT_FALSE(side_by_side(a, c).defined());
  EXPECT_FALSE(side_by_side(a, b.clone()).defined());
  EXPECT_FALSE(side_by_side(a, b.slice(0, 0, 3)).defined());
}

}  // namespace
}  // namespace striate::test
