#include "striate/model/packed_batch.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/conversation.h"

namespace striate {

std::int64_t stream_length(const Sample& sample) {
  std::int64_t length = static_cast<std::int64_t>(sample.input_ids.size());
  for (const at::Tensor& image : sample.images) length += image.size(0) - 1;
  return length;
}

ExpandedSample expand_images(const Sample& sample) {
  const auto slots = std::count(sample.input_ids.begin(), sample.input_ids.end(), kImageToken);
  if (slots != static_cast<std::int64_t>(sample.images.size())) {
    throw invalid_input(cat("the prompt has ", slots, " <image> and ", sample.images.size(), " images were given"),
                        "write <image> once for every image, or leave out <image> to put all images first");
  }
  if (!sample.labels.empty() && sample.labels.size() != sample.input_ids.size()) {
    throw internal_error(cat(sample.labels.size(), " labels for ", sample.input_ids.size(), " tokens"));
  }
  ExpandedSample expanded;
  std::size_t image = 0;
  for (std::size_t i = 0; i < sample.input_ids.size(); ++i) {
    const bool is_image = sample.input_ids[i] == kImageToken;
    const std::int64_t count = is_image ? sample.images[image++].size(0) : 1;
    for (std::int64_t k = 0; k < count; ++k) {
      if (is_image) expanded.image_slots.push_back(static_cast<std::int64_t>(expanded.token_ids.size()));
      expanded.token_ids.push_back(sample.input_ids[i]);
      expanded.labels.push_back(is_image || sample.labels.empty() ? kIgnoreLabel : sample.labels[i]);
    }
  }
  return expanded;
}

PackedBatch pack(std::span<const Sample> samples) {
  std::vector<std::int64_t> token_ids;
  std::vector<std::int64_t> positions;
  std::vector<std::int32_t> cu_seqlens = {0};
  std::vector<std::int64_t> image_slots;
  std::vector<std::int64_t> targets;
  std::vector<std::int64_t> target_slots;
  std::vector<at::Tensor> features;
  for (const Sample& sample : samples) {
    const ExpandedSample expanded = expand_images(sample);
    const auto begin = static_cast<std::int64_t>(token_ids.size());
    const auto length = static_cast<std::int64_t>(expanded.token_ids.size());
    for (std::int64_t t = 0; t < length; ++t) {
      const auto index = static_cast<std::size_t>(t);
      token_ids.push_back(expanded.token_ids[index]);
      positions.push_back(t);
      if (t > 0 && expanded.labels[index] != kIgnoreLabel) {
        targets.push_back(expanded.labels[index]);
        target_slots.push_back(begin + t - 1);
      }
    }
    for (const std::int64_t slot : expanded.image_slots) image_slots.push_back(begin + slot);
    features.insert(features.end(), sample.images.begin(), sample.images.end());
    cu_seqlens.push_back(static_cast<std::int32_t>(begin + length));
  }
  PackedBatch batch;
  batch.token_ids = at::tensor(token_ids, at::kLong);
  batch.positions = at::tensor(positions, at::kLong);
  batch.cu_seqlens = at::tensor(cu_seqlens, at::kInt);
  batch.image_slots = at::tensor(image_slots, at::kLong);
  batch.targets = at::tensor(targets, at::kLong);
  batch.target_slots = at::tensor(target_slots, at::kLong);
  const auto keyed = std::count_if(samples.begin(), samples.end(), [](const Sample& s) { return s.key.has_value(); });
  if (keyed != 0 && keyed != static_cast<std::ptrdiff_t>(samples.size())) {
    throw internal_error("some samples of a stream have a key and others have none");
  }
  for (const Sample& sample : samples) {
    if (sample.key) batch.sample_keys.push_back(*sample.key);
  }
  if (!features.empty()) batch.image_features = at::cat(features);
  return batch;
}

}  // namespace striate
