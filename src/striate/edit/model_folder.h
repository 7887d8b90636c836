// Complete Hugging Face folders of changed models, which open in everything that opens the original.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "striate/edit/model_change.h"
#include "striate/model/model_record.h"

namespace striate {

struct FolderOptions {
  std::optional<at::ScalarType> dtype;  // of every weight; absent: each as in the source
  std::uint64_t max_shard_bytes = 5'000'000'000;
  std::optional<ModelRecord> record;  // written as striate.json; absent: none is written
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};  // bytes of weights
};

// The largest relative error of rounding to a type: 2^-8 of bf16, 2^-11 of fp16, 0 of fp32 (taken as exact).
double rounding_of(at::ScalarType dtype);

struct FolderResult {
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;  // of weights
  std::size_t weight_files = 0;
  // Whether weights were rounded (merged or trained in fp32 and kept in less, or written in a smaller type than the
  // source's), and by how much: the largest rounding_of() of them, else 0.
  double rounding = 0;
  // How much of the merged adapter's change of weights W' - W was left after rounding: its projection on the change
  // itself. 1 in fp32; far less than 1 when most changes are smaller than half a step of the type.
  std::optional<double> change_kept;
};

// Writes the changed model into `folder` (AtomicFolder::path(), where it must appear whole): its tensors as
// safetensors in the source's naming, one in memory at a time; config.json with what speaks of single layers brought
// up to date; tokenizer, processor and generation files and the vision tower's own folder copied; the picture settings
// of a tower from elsewhere, where the model has none of its own. A source put together from parts, or whose files do
// not describe it, gets a configuration of our own (model/config_writer.h).
// Throws what planned_tensors() throws, InvalidInput when a weight is beyond the type asked for (fp16 ends at 65504),
// Resource when the disk is full.
FolderResult write_model_folder(const std::filesystem::path& folder, const Checkpoint& source,
                                const ModelChange& change, const FolderOptions& options = {});

}  // namespace striate
