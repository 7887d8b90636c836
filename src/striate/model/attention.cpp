#include "striate/model/attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/tensor/upload.h"

namespace striate {
namespace {

// [n, keys] bool: which keys each of the queries at positions first..first+n-1 sees.
at::Tensor visible_keys(std::int64_t first, std::int64_t n, std::int64_t keys, std::optional<std::int64_t> window,
                        const at::Device& device) {
  const at::TensorOptions options = at::TensorOptions(at::kLong).device(device);
  const at::Tensor query = at::arange(first, first + n, options).unsqueeze(1);
  const at::Tensor key = at::arange(keys, options).unsqueeze(0);
  at::Tensor visible = key.le(query);
  if (window) visible = visible.logical_and_(key.ge(query - *window));
  return visible;
}

// [tokens, heads, d] -> [1, heads, tokens, d], as LibTorch's attention wants it.
at::Tensor heads_first(const at::Tensor& x) {
  return x.transpose(0, 1).unsqueeze(0);
}

}  // namespace

at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            std::optional<std::int64_t> window) {
  const std::int64_t n = q.size(0);
  const std::int64_t keys = k.size(0);
  const bool grouped = q.size(1) != k.size(1);
  const bool window_bites = window && keys > *window + 1;
  const bool square = n == keys;
  std::optional<at::Tensor> mask;
  if (window_bites || (!square && n > 1)) mask = visible_keys(keys - n, n, keys, window, q.device());
  const at::Tensor out =
      at::scaled_dot_product_attention(heads_first(q), heads_first(k), heads_first(v), mask, /*dropout_p=*/0.0,
                                       /*is_causal=*/!mask && square && n > 1, /*scale=*/std::nullopt, grouped);
  return out.squeeze(0).transpose(0, 1);
}

StreamAttention::StreamAttention(const at::Tensor& cu_seqlens, std::optional<std::int64_t> window) {
  const at::Tensor bounds = cu_seqlens.to(at::kLong).contiguous();
  shape_.window = window;
  shape_.bounds.assign(bounds.const_data_ptr<std::int64_t>(), bounds.const_data_ptr<std::int64_t>() + bounds.numel());
}

at::Tensor StreamAttention::attend(std::int64_t /*layer*/, const at::Tensor& q, const at::Tensor& k,
                                   const at::Tensor& v) {
  if (flash_takes(q)) {
    if (!shape_.on_device.bounds.defined()) shape_.on_device = device_bounds(bounds(), q.device());
    return stream_attention(q, k, v, shape_).out;
  }
  if (bounds().size() == 2) return causal_attention(q, k, v, window());
  std::vector<at::Tensor> parts;
  for (std::size_t s = 0; s + 1 < bounds().size(); ++s) {
    const std::int64_t begin = bounds()[s];
    const std::int64_t end = bounds()[s + 1];
    if (begin == end) continue;
    parts.push_back(causal_attention(q.slice(0, begin, end), k.slice(0, begin, end), v.slice(0, begin, end), window()));
  }
  if (parts.empty()) return at::empty_like(q);
  return at::cat(parts);
}

ImageAttentionMass::ImageAttentionMass(const at::Tensor& cu_seqlens, std::optional<std::int64_t> window,
                                       at::Tensor is_image)
    : StreamAttention(cu_seqlens, window), is_image_(std::move(is_image)) {}

at::Tensor ImageAttentionMass::attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                      const at::Tensor& v) {
  constexpr std::int64_t kQueryBlock = 256;
  const std::int64_t heads = q.size(1);
  const std::int64_t group = heads / k.size(1);
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(2)));
  at::Tensor mass = at::zeros({heads, q.size(0)}, q.options().dtype(at::kFloat));
  const at::Tensor on_image = uploaded(is_image_, q.device()).to(at::kFloat);
  for (std::size_t s = 0; s + 1 < bounds().size(); ++s) {
    const std::int64_t begin = bounds()[s];
    const std::int64_t end = bounds()[s + 1];
    if (!is_image_.slice(0, begin, end).any().item<bool>()) continue;  // nothing to look at: zero
    const at::Tensor image = on_image.slice(0, begin, end);
    const at::Tensor keys =
        k.slice(0, begin, end).to(at::kFloat).repeat_interleave(group, 1).permute({1, 2, 0});  // [heads, d, keys]
    for (std::int64_t first = begin; first < end; first += kQueryBlock) {
      const std::int64_t last = std::min(end, first + kQueryBlock);
      const at::Tensor queries = q.slice(0, first, last).to(at::kFloat).transpose(0, 1);
      const std::int64_t seen = last - begin;  // no query of the block sees a later key
      const at::Tensor visible = visible_keys(first - begin, last - first, seen, window(), q.device());
      const at::Tensor scores = at::matmul(queries, keys.slice(2, 0, seen))
                                    .mul_(scale)
                                    .masked_fill_(visible.logical_not(), -std::numeric_limits<float>::infinity());
      mass.slice(1, first, last).copy_(at::matmul(at::softmax(scores, -1), image.slice(0, 0, seen)));
    }
  }
  mass_.push_back(mass);
  return StreamAttention::attend(layer, q, k, v);
}

}  // namespace striate
