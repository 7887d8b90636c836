#include "striate/files/weight_file.h"

#include <algorithm>

#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/missing_tensor.h"

namespace striate {
namespace {

// Where `name` is or would be.
std::vector<TensorInfo>::const_iterator position(const std::vector<TensorInfo>& tensors, const std::string& name) {
  return std::lower_bound(tensors.begin(), tensors.end(), name,
                          [](const TensorInfo& info, const std::string& wanted) { return info.name < wanted; });
}

}  // namespace

const TensorInfo* WeightFile::find(const std::string& name) const {
  const std::vector<TensorInfo>& all = tensors();
  const auto found = position(all, name);
  return found != all.end() && found->name == name ? &*found : nullptr;
}

Error missing_tensor(const std::filesystem::path& where, const std::string& name,
                     const std::vector<TensorInfo>& tensors) {
  // The edit distance to every one of a million names would take a minute: look at the neighbours in the alphabet.
  constexpr std::ptrdiff_t kWindow = 2000;
  const auto here = position(tensors, name);
  const auto first = here - std::min(here - tensors.begin(), kWindow);
  const auto last = here + std::min(tensors.end() - here, kWindow);
  std::vector<std::string> names;
  for (auto info = first; info != last; ++info) names.push_back(info->name);
  const std::string nearest = nearest_name(name, names);
  return invalid_input(cat(where.string(), ": no tensor ", quoted_name(name)),
                       nearest.empty() ? cat("it holds ", tensors.size(),
                                             " tensors with other names; check that it is the right checkpoint")
                                       : cat("the nearest name is ", quoted_name(nearest)));
}

std::shared_ptr<const WeightFile> open_weight_file(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".safetensors") return open_safetensors(path);
  if (ending == ".bin" || ending == ".pt" || ending == ".pth") return open_torch_bin(path);
  throw invalid_input(cat(path.string(), ": not a file of weights by its name"),
                      "give a .safetensors, .bin, .pt or .pth file");
}

}  // namespace striate
