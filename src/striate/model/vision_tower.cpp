#include "striate/model/vision_tower.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/sigmoid.h>

#include <optional>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/matrix.h"

namespace striate {
namespace {

constexpr const char* kPatch = "vision.embeddings.patch_embedding";
constexpr const char* kPositions = "vision.embeddings.position_embedding.weight";
constexpr const char* kClassToken = "vision.embeddings.class_embedding";
constexpr const char* kPreNorm = "vision.pre_layrnorm";  // transformers' own spelling

std::string layer_prefix(std::int64_t index) {
  return cat("vision.encoder.layers.", index, ".");
}

}  // namespace

// The weights that a pass reads, and the operators it reads them with.
class TowerOperators {
 public:
  explicit TowerOperators(const TowerWeights& weights) : weights_(weights) {}
  virtual ~TowerOperators() = default;

  const at::Tensor& weight(const std::string& name) const { return weights_.at(name); }
  // x [rows, in] -> [rows, out] by the linear `name`.
  at::Tensor linear(const std::string& name, const at::Tensor& x) const {
    const auto bias = weights_.find(name + ".bias");
    // A patch kernel is a linear of its pixels.
    return multiply(weight(name + ".weight").flatten(1), bias == weights_.end() ? at::Tensor() : bias->second, x);
  }
  virtual at::Tensor quick_gelu_of(const at::Tensor& x) const = 0;

 private:
  virtual at::Tensor multiply(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& x) const = 0;

  const TowerWeights& weights_;
};

namespace {

// No gradient can reach the weights.
class FrozenOperators final : public TowerOperators {
 public:
  FrozenOperators(const TowerWeights& weights, Compute compute) : TowerOperators(weights), compute_(compute) {}
  at::Tensor quick_gelu_of(const at::Tensor& x) const override { return quick_gelu(x); }

 private:
  at::Tensor multiply(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& x) const override {
    return FrozenMatrix(weight, bias).multiply(x, compute_);
  }

  Compute compute_;
};

// LibTorch's autograd follows every one.
class TrainedOperators final : public TowerOperators {
 public:
  using TowerOperators::TowerOperators;
  at::Tensor quick_gelu_of(const at::Tensor& x) const override { return x * at::sigmoid(x * 1.702); }

 private:
  at::Tensor multiply(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& x) const override {
    std::optional<at::Tensor> typed;
    if (bias.defined()) typed = bias.to(x.scalar_type());
    return at::linear(x, weight.to(x.scalar_type()), typed);
  }
};

}  // namespace

VisionTower::VisionTower(const WeightSource& source, const VisionConfig& config, const Placement& placement)
    : config_(config), placement_(placement) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t patch = config.patch_size;
  const bool clip = config.kind == TowerKind::kClip;
  const auto load_pair = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    load(source, name + ".weight", shape);
    load(source, name + ".bias", {shape.front()});
  };
  load(source, cat(kPatch, ".weight"), {hidden, config.channels, patch, patch});
  if (!clip) load(source, cat(kPatch, ".bias"), {hidden});
  load(source, kPositions, {config.grid() * config.grid() + (clip ? 1 : 0), hidden});
  if (clip) {
    load(source, kClassToken, {hidden});
    load_pair(kPreNorm, {hidden});
  }
  for (std::int64_t i = 0; i < config.layers_run(); ++i) {
    const std::string prefix = layer_prefix(i);
    for (const char* norm : {"layer_norm1", "layer_norm2"}) load_pair(prefix + norm, {hidden});
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      load_pair(cat(prefix, "self_attn.", name), {hidden, hidden});
    }
    load_pair(prefix + "mlp.fc1", {config.mlp_size, hidden});
    load_pair(prefix + "mlp.fc2", {hidden, config.mlp_size});
  }
}

void VisionTower::load(const WeightSource& source, const std::string& name, const std::vector<std::int64_t>& shape) {
  const at::Tensor stored = source.load(name, shape);
  weights_[name] = shape.size() == 1 ? placement_.vector(stored) : placement_.weight(stored);
}

void VisionTower::replace_weight(const std::string& name, at::Tensor value) {
  at::Tensor& current = weights_.at(name);
  if (current.sizes() != value.sizes()) throw internal_error(cat(name, ": ", value.sizes(), " for ", current.sizes()));
  current = std::move(value);
}

at::Tensor VisionTower::normalise(const TowerOperators& use, const std::string& name, const at::Tensor& x) const {
  const auto wide = [&](const char* part) { return use.weight(cat(name, part)).to(at::kFloat); };
  return at::layer_norm(x.to(at::kFloat), {config_.hidden_size}, wide(".weight"), wide(".bias"), config_.layer_norm_eps)
      .to(x.scalar_type());
}

at::Tensor VisionTower::embed(const TowerOperators& use, const at::Tensor& pixels) const {
  const std::int64_t images = pixels.size(0);
  const std::int64_t grid = config_.grid();
  const std::int64_t patch = config_.patch_size;
  // Pixels beyond a whole patch are dropped, as a strided convolution without padding does.
  const at::Tensor patches = placement_.activation(pixels)
                                 .slice(2, 0, grid * patch)
                                 .slice(3, 0, grid * patch)
                                 .reshape({images, config_.channels, grid, patch, grid, patch})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({images * grid * grid, -1});  // [patches, channels * patch * patch]
  at::Tensor x = use.linear(kPatch, patches).view({images, grid * grid, config_.hidden_size});
  const at::Tensor positions = placement_.activation(use.weight(kPositions));
  if (config_.kind != TowerKind::kClip) return x + positions;
  const at::Tensor class_token = placement_.activation(use.weight(kClassToken));
  x = at::cat({class_token.expand({images, 1, -1}), x}, 1);
  return normalise(use, kPreNorm, x + positions);
}

at::Tensor VisionTower::attend(const TowerOperators& use, const std::string& prefix, const at::Tensor& x,
                               std::int64_t images) const {
  const auto heads = [&](const char* name) {
    return use.linear(cat(prefix, "self_attn.", name), x)
        .view({images, -1, config_.heads, config_.hidden_size / config_.heads})
        .transpose(1, 2);  // [images, heads, rows, head_dim]
  };
  const at::Tensor mixed = at::scaled_dot_product_attention(heads("q_proj"), heads("k_proj"), heads("v_proj"));
  return use.linear(prefix + "self_attn.out_proj", mixed.transpose(1, 2).reshape(x.sizes()));
}

at::Tensor VisionTower::activate(const TowerOperators& use, const at::Tensor& x) const {
  switch (config_.activation) {
    case VisionActivation::kQuickGelu:
      return use.quick_gelu_of(x);
    case VisionActivation::kGeluTanh:
      return at::gelu(x, "tanh");
    case VisionActivation::kGelu:
      return at::gelu(x);
  }
  throw internal_error("unknown activation");
}

at::Tensor VisionTower::forward(const at::Tensor& pixels) const {
  return run(FrozenOperators(weights_, placement_.compute), pixels);
}

at::Tensor VisionTower::train_forward(const TowerWeights& weights, const at::Tensor& pixels) const {
  return run(TrainedOperators(weights), pixels);
}

at::Tensor VisionTower::run(const TowerOperators& use, const at::Tensor& pixels) const {
  const std::vector<std::int64_t> expected = {pixels.size(0), config_.channels, config_.image_size, config_.image_size};
  if (pixels.sizes() != at::IntArrayRef(expected)) {
    throw invalid_input(cat("pixels ", pixels.sizes(), " for a vision tower of ", config_.image_size, " pixels"),
                        "preprocess pictures with the model's own settings");
  }
  const std::int64_t images = pixels.size(0);
  at::Tensor x = embed(use, pixels);
  const std::int64_t rows = x.size(1);
  x = x.reshape({images * rows, config_.hidden_size});
  for (std::int64_t i = 0; i < config_.layers_run(); ++i) {
    const std::string prefix = layer_prefix(i);
    x = x + attend(use, prefix, normalise(use, prefix + "layer_norm1", x), images);
    const at::Tensor inner = use.linear(prefix + "mlp.fc1", normalise(use, prefix + "layer_norm2", x));
    x = x + use.linear(prefix + "mlp.fc2", activate(use, inner));
  }
  x = x.view({images, rows, config_.hidden_size});
  const bool drop_class = config_.kind == TowerKind::kClip && !config_.keep_class_token;
  return drop_class ? x.slice(1, 1).contiguous() : x;
}

}  // namespace striate
