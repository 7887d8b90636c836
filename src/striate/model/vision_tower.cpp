#include "striate/model/vision_tower.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"

namespace striate {

VisionTower::VisionTower(const WeightSource& weights, const VisionConfig& config, const Placement& placement)
    : config_(config), placement_(placement) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t patch = config.patch_size;
  const bool clip = config.kind == TowerKind::kClip;
  const at::Tensor kernel =
      weights.load("vision.embeddings.patch_embedding.weight", {hidden, config.channels, patch, patch});
  at::Tensor bias;
  if (!clip) bias = placement.vector(weights.load("vision.embeddings.patch_embedding.bias", {hidden}));
  patch_ = FrozenMatrix(placement.weight(kernel.reshape({hidden, -1})), bias);
  const std::int64_t rows = config.grid() * config.grid() + (clip ? 1 : 0);
  positions_ = placement.activation(weights.load("vision.embeddings.position_embedding.weight", {rows, hidden}));
  if (clip) {
    class_token_ = placement.activation(weights.load("vision.embeddings.class_embedding", {hidden}));
    pre_norm_ = load_norm(weights, "vision.pre_layrnorm");  // transformers' own spelling
  }
  for (std::int64_t i = 0; i < config.layers_run(); ++i) layers_.push_back(load_layer(weights, i));
}

VisionTower::Norm VisionTower::load_norm(const WeightSource& weights, const std::string& name) const {
  const std::vector<std::int64_t> shape = {config_.hidden_size};
  return {placement_.vector(weights.load(name + ".weight", shape)),
          placement_.vector(weights.load(name + ".bias", shape))};
}

FrozenLinear VisionTower::load_linear(const WeightSource& weights, const std::string& name, std::int64_t out,
                                      std::int64_t in) const {
  return FrozenLinear(FrozenMatrix(placement_.weight(weights.load(name + ".weight", {out, in})),
                                   placement_.vector(weights.load(name + ".bias", {out}))));
}

VisionTower::Layer VisionTower::load_layer(const WeightSource& weights, std::int64_t index) const {
  const std::string prefix = cat("vision.encoder.layers.", index, ".");
  const std::int64_t hidden = config_.hidden_size;
  const auto square = [&](const char* name) { return load_linear(weights, prefix + name, hidden, hidden); };
  return {load_norm(weights, prefix + "layer_norm1"),
          load_norm(weights, prefix + "layer_norm2"),
          square("self_attn.q_proj"),
          square("self_attn.k_proj"),
          square("self_attn.v_proj"),
          square("self_attn.out_proj"),
          load_linear(weights, prefix + "mlp.fc1", config_.mlp_size, hidden),
          load_linear(weights, prefix + "mlp.fc2", hidden, config_.mlp_size)};
}

at::Tensor VisionTower::normalise(const at::Tensor& x, const Norm& norm) const {
  const at::Tensor normed =
      at::layer_norm(x.to(at::kFloat), {config_.hidden_size}, norm.weight, norm.bias, config_.layer_norm_eps);
  return normed.to(x.scalar_type());
}

at::Tensor VisionTower::embed(const at::Tensor& pixels) const {
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
  at::Tensor x = patch_.multiply(patches, placement_.compute).view({images, grid * grid, config_.hidden_size});
  if (config_.kind == TowerKind::kClip) {
    x = at::cat({class_token_.expand({images, 1, -1}), x}, 1);
    return normalise(x + positions_, pre_norm_);
  }
  return x + positions_;
}

at::Tensor VisionTower::attend(const Layer& layer, const at::Tensor& x, std::int64_t images) const {
  const Compute compute = placement_.compute;
  const auto heads = [&](const FrozenLinear& linear) {
    return linear.forward(x, compute)
        .view({images, -1, config_.heads, config_.hidden_size / config_.heads})
        .transpose(1, 2);  // [images, heads, rows, head_dim]
  };
  const at::Tensor mixed = at::scaled_dot_product_attention(heads(layer.q), heads(layer.k), heads(layer.v));
  return layer.out.forward(mixed.transpose(1, 2).reshape(x.sizes()), compute);
}

at::Tensor VisionTower::activate(const at::Tensor& x) const {
  switch (config_.activation) {
    case VisionActivation::kQuickGelu:
      return quick_gelu(x);
    case VisionActivation::kGeluTanh:
      return at::gelu(x, "tanh");
    case VisionActivation::kGelu:
      return at::gelu(x);
  }
  throw internal_error("unknown activation");
}

at::Tensor VisionTower::forward(const at::Tensor& pixels) const {
  const std::vector<std::int64_t> expected = {pixels.size(0), config_.channels, config_.image_size, config_.image_size};
  if (pixels.sizes() != at::IntArrayRef(expected)) {
    throw invalid_input(cat("pixels ", pixels.sizes(), " for a vision tower of ", config_.image_size, " pixels"),
                        "preprocess pictures with the model's own settings");
  }
  const Compute compute = placement_.compute;
  const std::int64_t images = pixels.size(0);
  at::Tensor x = embed(pixels);
  const std::int64_t rows = x.size(1);
  x = x.reshape({images * rows, config_.hidden_size});
  for (const Layer& layer : layers_) {
    x = x + attend(layer, normalise(x, layer.norm1), images);
    const at::Tensor inner = activate(layer.fc1.forward(normalise(x, layer.norm2), compute));
    x = x + layer.fc2.forward(inner, compute);
  }
  x = x.view({images, rows, config_.hidden_size});
  const bool drop_class = config_.kind == TowerKind::kClip && !config_.keep_class_token;
  return drop_class ? x.slice(1, 1).contiguous() : x;
}

}  // namespace striate
