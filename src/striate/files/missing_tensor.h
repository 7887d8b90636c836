// The error every WeightFile throws for a name it does not have.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/files/weight_file.h"

namespace striate {

// InvalidInput: "FILE: no tensor "x""; the hint names the nearest one. `tensors` are sorted by name.
Error missing_tensor(const std::filesystem::path& where, const std::string& name,
                     const std::vector<TensorInfo>& tensors);

}  // namespace striate
