// Files of weights that tests write anywhere: the library itself writes at checked places alone (base/output_path.h).
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "striate/files/weight_file.h"
#include "tests/support/paths.h"

namespace striate {

inline void write_safetensors(const std::filesystem::path& path,
                              const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                              const std::vector<std::pair<std::string, std::string>>& metadata = {{"format", "pt"}}) {
  write_safetensors(anywhere(path), tensors, metadata);
}

}  // namespace striate
