// The peak memory of a training step besides weights and parameters, estimated before anything runs.
#pragma once

#include <cstdint>

#include "striate/model/config.h"
#include "striate/tensor/matrix.h"
#include "striate/train/planned_stream.h"
#include "striate/train/train_pass.h"
#include "striate/train/tunable.h"

namespace striate {

// What decides the size of a pass's tensors.
struct PassShape {
  ModelConfig config;
  TuneOptions tune;
  Compute compute = Compute::kFloat32;
  bool on_gpu = false;
  // Bytes of one element of the frozen weights: those of another type than the products are converted block by block.
  std::int64_t weight_element = 2;
  bool fp8_units = true;  // whether the GPU multiplies e4m3
};

// The most bytes of tensors that TrainPass::run() has alive at once. What its caller holds (weights, parameters, the
// stream and its features) is not counted. On a GPU it adds what attention and elementwise operations composed of
// LibTorch's own hold in passing. Of a vision tower that is trained it is only an estimate.
//
// It is a second description of the pass: it walks through the layers as the pass does, and holds the size of every
// tensor as long as the pass holds the tensor. One description would have to be the pass itself, run on tensors without
// memory. LibTorch's meta device cannot do that: the pass consists of loops of our own over raw memory, and most of
// what decides the peak is not saved on a tape but alive for a moment, at an order that only the code of the pass
// states. So the ledger stays, and where the pass changes, this must change too. PlanAgainstReality in
// tests/train/plan_test.cpp holds the two together: an allocator counts the bytes of real passes in twelve set-ups,
// with each activation checkpointing, and each peak must be within a tenth of what is said here.
std::int64_t activation_bytes(const PassShape& shape, const PlannedStream& stream,
                              ActivationCheckpointing checkpointing);

// The lowest decoder layer that a backward pass runs through, as Tunable::lowest_backward_layer().
std::int64_t lowest_backward_layer(const ModelConfig& config, const TuneOptions& tune);

}  // namespace striate
