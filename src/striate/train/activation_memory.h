// What a training step keeps in memory while it runs, beside weights and parameters: known before anything runs.
#pragma once

#include <cstdint>

#include "striate/model/config.h"
#include "striate/tensor/matrix.h"
#include "striate/train/train_pass.h"
#include "striate/train/tunable.h"

namespace striate {

// A stream as planning sees it.
struct PlannedStream {
  std::int64_t tokens = 0;
  std::int64_t image_rows = 0;  // of the tokens
  std::int64_t targets = 0;     // positions that are learned
  std::int64_t samples = 1;     // of equal length
};

// What decides the size of a pass's tensors.
struct PassShape {
  ModelConfig config;
  TuneOptions tune;
  Compute compute = Compute::kFloat32;
  bool on_gpu = false;
  // Bytes of one element of the frozen weights: those of another type than the products are converted block by block.
  std::int64_t weight_element = 2;
};

// The most bytes of tensors that TrainPass::run() has alive at once, what its caller holds (weights, parameters, the
// stream and its features) not counted. It follows the pass tensor by tensor: where that changes, so must this, and a
// test holds the two together within a tenth. On a GPU it adds what attention and elementwise operations composed of
// LibTorch's own hold in passing. Of a vision tower that is trained only an estimate.
std::int64_t activation_bytes(const PassShape& shape, const PlannedStream& stream, ActivationPolicy policy);

// The lowest decoder layer that a backward pass runs through, as Tunable::lowest_backward_layer().
std::int64_t lowest_backward_layer(const ModelConfig& config, const TuneOptions& tune);
// Whether gradients reach the stream's first layer, as Tunable::trains_below_decoder().
bool trains_below_decoder(const ModelConfig& config, const TuneOptions& tune);

}  // namespace striate
