#include "tests/cuda/nvrtc_here.h"

#include "striate/base/paths.h"
#include "tests/support/paths.h"

namespace striate::test {

std::optional<cuda::Nvrtc> nvrtc_here() {
  std::vector<std::string> names;
  const std::filesystem::path installed = sources() / ".deps" / "nvrtc" / "lib";
  if (is_folder(installed)) {
    for (const auto& entry : entries_of(installed)) {
      if (entry.filename().string().starts_with("libnvrtc.so")) names.push_back(entry.string());
    }
  }
  for (const std::string& name : cuda::nvrtc_names()) names.push_back(name);
  try {
    return cuda::Nvrtc(names);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace striate::test
