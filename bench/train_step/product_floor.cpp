#include "bench/train_step/product_floor.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>

#include "bench/bench_device.h"
#include "striate/base/strings.h"

namespace striate::bench {
namespace {

// The first linears of a layer, whose input gradient nothing needs when no layer below is trained.
bool reads_layer_input(const std::string& name) {
  constexpr std::array<std::string_view, 4> kNames{"q_proj.weight", "k_proj.weight", "v_proj.weight",
                                                   "qkv_proj.weight"};
  return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view end) { return name.ends_with(end); });
}

}  // namespace

ProductFloor::ProductFloor(const Checkpoint& checkpoint, const Placement& placement,
                           std::optional<std::int64_t> lowest_trained) {
  const at::TensorOptions kept = at::TensorOptions(compute_dtype(placement.compute)).device(placement.device);
  const DecoderConfig& config = checkpoint.config.decoder;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = cat("model.layers.", layer, ".");
    for (const auto& [name, entry] : checkpoint.weights.entries()) {
      if (!name.starts_with(prefix) || !name.ends_with("_proj.weight")) continue;
      forward_.push_back(checkpoint.weights.load(name, entry.info->shape).to(kept));
      const bool below = lowest_trained && layer < *lowest_trained;
      const bool at_the_end = lowest_trained && layer == *lowest_trained && reads_layer_input(name);
      if (!below && !at_the_end) backward_.push_back(forward_.back());
    }
  }
  const char* head = config.tie_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  head_ = checkpoint.weights.load(head, {config.vocab_size, config.hidden_size}).to(kept);
}

at::Tensor ProductFloor::rows(std::int64_t count, std::int64_t width) const {
  return at::randn({count, width}).to(head_.options());
}

Stopwatch::Seconds ProductFloor::time(std::int64_t tokens, std::int64_t targets) const {
  std::map<std::int64_t, at::Tensor> streams;
  for (const at::Tensor& weight : forward_) {
    for (const std::int64_t width : weight.sizes()) {
      if (!streams.contains(width)) streams[width] = rows(tokens, width);
    }
  }
  const at::Tensor target_rows = rows(targets, head_.size(1));

  wait_for(head_.device());
  const Stopwatch stopwatch;
  for (const at::Tensor& weight : forward_) at::linear(streams.at(weight.size(1)), weight);
  const at::Tensor logits = at::linear(target_rows, head_);
  at::mm(logits, head_);
  for (auto weight = backward_.rbegin(); weight != backward_.rend(); ++weight) {
    at::mm(streams.at(weight->size(0)), *weight);
  }
  wait_for(head_.device());
  return stopwatch.seconds();
}

}  // namespace striate::bench
