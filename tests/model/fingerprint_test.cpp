// A fingerprint follows the weights, not the files they lie in.
#include "striate/model/fingerprint.h"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "striate/files/sharded_writer.h"
#include "striate/model/adapter_file.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using Change = std::function<at::Tensor(const std::string&, const at::Tensor&)>;

// The model in `from` once more, its tensors as `change` gives them, in files of `max_bytes`.
void rewrite(const fs::path& from, const fs::path& to, const Change& change, std::uint64_t max_bytes = 1 << 30) {
  fs::create_directories(to);
  fs::copy_file(from / "config.json", to / "config.json");
  fs::copy(from / "vision_tower_clip", to / "vision_tower_clip", fs::copy_options::recursive);
  const auto file = open_weight_directory(from);
  std::vector<SafetensorsWriter::Entry> entries;
  std::vector<at::Tensor> tensors;
  for (const TensorInfo& info : file->tensors()) {
    tensors.push_back(change(info.name, file->load(info.name)).contiguous());
    entries.push_back({info.name, tensors.back().scalar_type(), tensors.back().sizes().vec()});
  }
  ShardedWriter writer(to, "", entries, max_bytes);
  for (const at::Tensor& tensor : tensors) writer.append(tensor);
  writer.commit();
}

at::Tensor unchanged(const std::string& /*name*/, const at::Tensor& tensor) {
  return tensor;
}

// One value of one tensor, `place` elements from its start, set to another.
Change with_value(const std::string& name, std::int64_t place) {
  return [=](const std::string& here, const at::Tensor& tensor) {
    if (here != name) return tensor;
    at::Tensor copy = tensor.clone();
    copy.view(-1)[place].fill_(3);
    return copy;
  };
}

class Fingerprint : public ::testing::Test {
 protected:
  void SetUp() override { make_checkpoint(model(), {"llava-1.5-7b", Layout::kOriginal}); }
  fs::path model() const { return folder_.path() / "model"; }
  // The same model with a change.
  Checkpoint changed(const Change& change, std::uint64_t max_bytes = 1 << 30) {
    const fs::path to = folder_.path() / std::to_string(++copies_);
    rewrite(model(), to, change, max_bytes);
    return open_small(to);
  }

  const TemporaryFolder folder_;
  int copies_ = 0;
};

constexpr const char* kUp = "model.layers.1.mlp.up_proj.weight";

TEST_F(Fingerprint, DoesNotDependOnSharding) {
  const Checkpoint one = open_small(model());
  const Checkpoint many = changed(unchanged, 20'000);
  EXPECT_EQ(weights_fingerprint(one).size(), 64U);
  EXPECT_EQ(weights_fingerprint(one), weights_fingerprint(many));
  EXPECT_TRUE(decoder_fingerprint(one).same_weights(decoder_fingerprint(many)));
}

TEST_F(Fingerprint, SeesEveryValueOfSmallTensors) {
  const std::string before = weights_fingerprint(open_small(model()));
  for (const std::int64_t place : {0, 777, 48 * 32 - 1}) {
    EXPECT_NE(weights_fingerprint(changed(with_value(kUp, place))), before) << place;
  }
}

TEST_F(Fingerprint, TellsModelsOfTheSameShapeApart) {
  make_checkpoint(folder_.path() / "other", {"llava-1.5-7b", Layout::kOriginal, 5, at::kFloat, /*seed=*/6});
  const Checkpoint one = open_small(model());
  const Checkpoint other = open_small(folder_.path() / "other");
  EXPECT_NE(weights_fingerprint(one), weights_fingerprint(other));
  EXPECT_EQ(decoder_fingerprint(one).shapes, decoder_fingerprint(other).shapes);
  EXPECT_FALSE(decoder_fingerprint(one).same_weights(decoder_fingerprint(other)));
}

TEST_F(Fingerprint, OfAnAdapterIsItsMatricesAndTheirScale) {
  const Checkpoint base = open_small(model());
  const auto adapter = [&](const char* name, const std::vector<std::int64_t>& layers, double size) {
    make_adapter(folder_.path() / name, base, layers, /*beside=*/false, size);
    return adapter_fingerprint(AdapterFile(folder_.path() / name));
  };
  const std::string one = adapter("one", {1, 3}, 0.1);
  EXPECT_EQ(adapter("same", {1, 3}, 0.1), one);
  EXPECT_NE(adapter("larger", {1, 3}, 0.2), one);
  EXPECT_NE(adapter("elsewhere", {1, 2}, 0.1), one);
  write_file(folder_.path() / "same" / "adapter_config.json", R"({"peft_type": "LORA", "r": 3, "lora_alpha": 12})");
  EXPECT_NE(adapter_fingerprint(AdapterFile(folder_.path() / "same")), one);
}

TEST_F(Fingerprint, OfTheDecoderIgnoresTowerAndProjector) {
  const Checkpoint one = open_small(model());
  const Checkpoint other = changed(with_value("model.mm_projector.0.weight", 5));
  EXPECT_NE(weights_fingerprint(one), weights_fingerprint(other));
  EXPECT_TRUE(decoder_fingerprint(one).same_weights(decoder_fingerprint(other)));
}

TEST_F(Fingerprint, OfTheDecoderKnowsTheSameWeightsInAnotherType) {
  const DecoderFingerprint one = decoder_fingerprint(open_small(model()));
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    const Checkpoint rounded = changed([type](const auto&, const at::Tensor& t) { return t.to(type); });
    EXPECT_TRUE(one.same_weights(decoder_fingerprint(rounded))) << type;
    EXPECT_NE(one.content, decoder_fingerprint(rounded).content);
  }
  make_checkpoint(folder_.path() / "other", {"llava-1.5-7b", Layout::kOriginal, 5, at::kBFloat16, /*seed=*/6});
  EXPECT_FALSE(one.same_weights(decoder_fingerprint(open_small(folder_.path() / "other"))));
}

TEST_F(Fingerprint, OfTheDecoderToldApartByOneValueWhereTypesAreTheSame) {
  const DecoderFingerprint one = decoder_fingerprint(open_small(model()));
  EXPECT_FALSE(one.same_weights(decoder_fingerprint(changed(with_value(kUp, 7)))));
}

}  // namespace
}  // namespace striate::test
