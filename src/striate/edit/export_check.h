// What is asked of every model that is written, and how it is held to the one it was made from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "striate/edit/logits_check.h"
#include "striate/edit/model_folder.h"

namespace striate {

struct OutputRequest {
  std::filesystem::path out;            // the folder to make, which appears whole or not at all
  std::optional<at::ScalarType> dtype;  // of every weight; absent: each as in the source
  std::uint64_t max_shard_bytes = 5'000'000'000;
  bool verify = true;  // whether the result's logits are compared with the source's
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};  // bytes of weights

  // What it says of write_model_folder(), with this record.
  FolderOptions folder_options(ModelRecord record) const;
};

// How near a written model came to the one it was made from.
struct ExportCheck {
  LogitsDifference difference;
  double tolerance = 0;
};

// The model that opens at `written` against the logits that its source gave for `inputs`; `rounding` as
// write_model_folder() told it. Throws Resource, naming `out`, when they differ by more than that explains.
ExportCheck check_export(const std::vector<ProbeInput>& inputs, const std::vector<at::Tensor>& reference,
                         const ModelPaths& written, double rounding, const std::filesystem::path& out);

}  // namespace striate
