// How a decoder's queries meet keys and values: the one thing that differs between training, scoring and generating.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "striate/tensor/stream_attention.h"

namespace striate {

// Called once per layer, in order, with the layer's rotated queries and keys.
class Attention {
 public:
  virtual ~Attention() = default;
  // q [N, heads, head_dim], k and v [N, kv_heads, head_dim], all of one dtype; heads are a multiple of kv_heads and
  // head h reads key-value head h / (heads / kv_heads). Returns [N, heads, head_dim]. Softmax is fp32 inside.
  virtual at::Tensor attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) = 0;
};

// Causal attention of n new queries over `past` earlier keys and the n of their own: q [n, heads, d], k and v
// [past + n, kv_heads, d] -> [n, heads, d]. With a window W, query i sees keys i-W..i.
at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            std::optional<std::int64_t> window);

// Variable-length causal attention over a packed stream: every sample attends only to itself.
class StreamAttention : public Attention {
 public:
  // cu_seqlens [S+1] int32 on the CPU.
  StreamAttention(const at::Tensor& cu_seqlens, std::optional<std::int64_t> window);
  at::Tensor attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) override;

 protected:
  const std::vector<std::int64_t>& bounds() const { return shape_.bounds; }
  std::optional<std::int64_t> window() const { return shape_.window; }

 private:
  StreamShape shape_;
};

// StreamAttention that also records how much attention each query puts on image positions: the probabilities of all
// image keys together, after softmax. Queries go block by block, so memory does not grow with the square of a sample.
class ImageAttentionMass final : public StreamAttention {
 public:
  // is_image [N] bool, on the CPU.
  ImageAttentionMass(const at::Tensor& cu_seqlens, std::optional<std::int64_t> window, at::Tensor is_image);
  at::Tensor attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) override;
  // One [heads, N] fp32 per layer seen.
  const std::vector<at::Tensor>& mass() const { return mass_; }

 private:
  at::Tensor is_image_;
  std::vector<at::Tensor> mass_;
};

}  // namespace striate
