// The packed stream: many samples end to end in one flat sequence, without padding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace striate {

// One stream of N tokens holding S samples, M image rows and K targets.
struct PackedBatch {
  at::Tensor token_ids;       // [N] int64; image slots hold kImageToken
  at::Tensor positions;       // [N] int64, from 0 in every sample
  at::Tensor cu_seqlens;      // [S+1] int32, on the CPU: where each sample begins, and N
  at::Tensor image_features;  // [M, vision_hidden], rows of the vision tower's output; undefined when M = 0
  at::Tensor pixels;          // [images, 3, S, S] fp32 in place of image_features while the tower itself is trained
  at::Tensor image_slots;     // [M] int64, the stream position each row goes to
  at::Tensor targets;         // [K] int64, the label ids
  at::Tensor target_slots;    // [K] int64, the position that predicts each target

  // One per sample: the key of its random choices, independent of the packing. Empty: no random choices.
  std::vector<std::uint64_t> sample_keys;

  std::int64_t tokens() const { return token_ids.size(0); }
  std::int64_t samples() const { return cu_seqlens.size(0) - 1; }
};

// One sample before packing.
struct Sample {
  std::vector<std::int64_t> input_ids;  // kImageToken once per image
  std::vector<std::int64_t> labels;     // same length, or empty (no targets); kIgnoreLabel = no target
  std::vector<at::Tensor> images;       // one [P, vision_hidden] per image, in order
  std::optional<std::uint64_t> key =
      std::nullopt;  // PackedBatch::sample_keys; all samples of a stream have one, or none has
};

// The positions that a sample takes in a stream: its tokens, and one for every row of its images.
std::int64_t stream_length(const Sample& sample);

// A sample with every kImageToken replaced by its image's P positions.
struct ExpandedSample {
  std::vector<std::int64_t> token_ids;    // kImageToken at image positions
  std::vector<std::int64_t> labels;       // kIgnoreLabel at image positions
  std::vector<std::int64_t> image_slots;  // the positions that hold image rows
};

// Throws InvalidInput when the numbers of kImageToken and images differ (both are given), or labels and ids differ in
// length.
ExpandedSample expand_images(const Sample& sample);

// Packs samples end to end. Position t predicts the label of t + 1; the first label of a sample is not a target.
PackedBatch pack(std::span<const Sample> samples);

}  // namespace striate
