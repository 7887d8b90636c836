#include "tests/support/tiny_model.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>

#include <cmath>

#include "striate/model/name_map.h"
#include "striate/model/tensor_list.h"
#include "striate/text/conversation.h"
#include "tests/support/paths.h"
#include "tests/support/test_device.h"
#include "tests/support/weights.h"

namespace striate::test {

ModelConfig tiny_config(const TinyModelOptions& options) {
  ModelConfig config;
  config.family = options.kind == DecoderKind::kPhi3 ? Family::kBunnyPhi3 : Family::kLlavaOriginal;
  DecoderConfig& d = config.decoder;
  d.kind = options.kind;
  d.vocab_size = options.vocab_size;
  d.hidden_size = 32;
  d.mlp_size = 48;
  d.layers = options.layers;
  d.heads = 4;
  d.kv_heads = options.kv_heads;
  d.head_dim = 8;
  d.max_positions = options.max_positions;
  d.sliding_window = options.sliding_window;
  d.eos_ids = {2};
  config.vision = VisionConfig{TowerKind::kClip, 28, 14, 3, 16, 24, 2, 2, 1e-5, VisionActivation::kQuickGelu};
  config.projector = ProjectorConfig{2, 16, 32};
  return config;
}

void write_tiny_weights(const std::filesystem::path& path, const TinyModelOptions& options) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const TensorSpec& spec : expected_tensors(tiny_config(options))) {
    const bool vector = spec.shape.size() == 1;
    const double deviation = vector ? 0.1 : 2.0 / std::sqrt(static_cast<double>(spec.shape.back()));
    at::Tensor values = at::randn(spec.shape, generator) * deviation;
    if (vector && spec.name.ends_with("weight")) values += 1.0;
    tensors.emplace_back(file_name(spec.name, Naming::kOriginal), values.to(options.dtype));
  }
  write_safetensors(path, tensors);
}

std::unique_ptr<Lvlm> tiny_model(const TinyModelOptions& options, Compute compute) {
  return tiny_model_on({test_device(), compute}, options);
}

std::unique_ptr<Lvlm> tiny_model_on(const Placement& placement, const TinyModelOptions& options) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "model.safetensors";
  write_tiny_weights(file, options);
  WeightSource weights;
  weights.add(open_safetensors(file));
  return std::make_unique<Lvlm>(tiny_config(options), weights, placement);
}

at::Tensor tiny_image(std::int64_t index) {
  return at::randn({4, 16}, at::make_generator<at::CPUGeneratorImpl>(static_cast<std::uint64_t>(100 + index)));
}

Sample tiny_sample(std::int64_t index, std::int64_t text) {
  Sample sample;
  sample.input_ids = {1, kImageToken};
  sample.labels = {kIgnoreLabel, kIgnoreLabel};
  for (std::int64_t t = 0; t < text; ++t) {
    sample.input_ids.push_back(3 + (7 * index + 5 * t) % 90);
    sample.labels.push_back(t < text / 2 ? kIgnoreLabel : sample.input_ids.back());
  }
  sample.images = {tiny_image(index)};
  sample.key = static_cast<std::uint64_t>(index);
  return sample;
}

}  // namespace striate::test
