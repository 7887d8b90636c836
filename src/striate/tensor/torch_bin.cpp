#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/weight_file.h"

namespace striate {

std::shared_ptr<const WeightFile> open_torch_bin(const std::filesystem::path& path) {
  throw unsupported(cat(path.string(), ": PyTorch files are not read yet"), "convert it to safetensors");
}

}  // namespace striate
