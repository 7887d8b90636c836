// Checkpoints of a run: OUT/checkpoints/step-000123/, complete or absent.
//
//   parameters.safetensors   every trained tensor, fp32, canonical names
//   optimizer.safetensors    exp_avg.NAME and exp_avg_sq.NAME, fp32
//   state.json               RunState
//   manifest.json            size and SHA-256 of the others, written last
#pragma once

#include <filesystem>
#include <optional>

#include "striate/base/notes.h"
#include "striate/model/parameter.h"
#include "striate/train/optimizer.h"
#include "striate/train/run_state.h"

namespace striate {

// Writes the checkpoint of `state.step` into `folder` and then deletes all but the newest `keep` (0 keeps all).
// `values` and `moments` are AdamW's. Every byte is on the disk before the checkpoint appears under its name. Returns
// where it is. Throws ResourceError.
std::filesystem::path save_checkpoint(const std::filesystem::path& folder, const RunState& state,
                                      const NamedTensors& values, const NamedTensors& moments, std::int64_t keep);

// A checkpoint whose files are all there and as they were written.
struct FoundCheckpoint {
  std::filesystem::path path;
  RunState state;
};

// The newest checkpoint in `folder` that its manifest vouches for; damaged ones are skipped with a
// warning in the notes, and what killed processes left half-built is ignored. nullopt when there is none.
std::optional<FoundCheckpoint> newest_whole_checkpoint(const std::filesystem::path& folder, const Notes& notes = {});

// Puts a checkpoint's tensors and counts into the optimiser and its `parameters`. Throws CorruptData when a tensor is
// missing, left over, or of another shape.
void restore_checkpoint(const FoundCheckpoint& checkpoint, const ParameterSet& parameters, AdamW& optimizer);

}  // namespace striate
