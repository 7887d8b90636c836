#include "striate/model/tower_folder.h"

#include <algorithm>

#include "striate/base/paths.h"

namespace striate {

namespace fs = std::filesystem;

std::optional<fs::path> tower_folder_inside(const fs::path& model, const std::string& name) {
  const fs::path whole = fs::path(name).lexically_normal();
  const fs::path last = whole.has_filename() ? whole.filename() : whole.parent_path().filename();
  for (const fs::path& candidate : {whole, last}) {
    const bool climbs =
        std::any_of(candidate.begin(), candidate.end(), [](const fs::path& part) { return part == ".."; });
    if (candidate.empty() || candidate == "." || candidate.is_absolute() || climbs) continue;
    if (is_folder(model / candidate)) return candidate;
  }
  return std::nullopt;
}

}  // namespace striate
