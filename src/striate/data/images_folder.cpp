#include "striate/data/images_folder.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/image/picture_name.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kProbed = 512;       // samples
constexpr std::size_t kShownPicture = 300;  // bytes of a name in a message

bool is_there(const fs::path& file) {
  try {
    return path_exists(file);
  } catch (const Error&) {  // a name that no file can have
    return false;
  }
}

// The names that samples spread over the file give, those that can be no file's aside.
std::set<std::string> some_names(const Dataset& data, const PictureFolder& folder) {
  std::set<std::string> names;
  const std::int64_t count = std::min(data.size(), kProbed);
  for (std::int64_t i = 0; i < count; ++i) {
    try {
      for (const std::string& name : data.read(i * data.size() / count).images) {
        folder.resolve(name);
        names.insert(name);
      }
    } catch (const BadSample&) {  // told when its turn comes
    }
  }
  return names;
}

// A folder near by in which `name` is; empty where there is none.
fs::path right_folder(const std::string& name, const Dataset& data, const fs::path& given) {
  constexpr int kUp = 4;
  if (fs::path(name).is_absolute()) return {};
  const fs::path beside = data.file().parent_path();
  std::vector<fs::path> candidates = {beside.empty() ? fs::path(".") : beside, beside / "images", given / "images"};
  fs::path above = full_path(given.empty() ? "." : given);
  for (int i = 0; i < kUp; ++i) candidates.push_back(above = above.parent_path());
  const auto found = std::ranges::find_if(candidates, [&](const fs::path& folder) { return is_there(folder / name); });
  return found == candidates.end() ? fs::path() : *found;
}

}  // namespace

std::optional<Error> wrong_images_folder(const Dataset& data, const PictureFolder& folder) {
  const std::set<std::string> names = some_names(data, folder);
  if (names.size() < 2 || data.pictures()) return std::nullopt;
  if (std::ranges::any_of(names, [&](const std::string& name) { return is_there(folder.resolve(name)); })) {
    return std::nullopt;
  }
  const std::string first = *names.begin();
  const fs::path& given = folder.folder();
  std::string hint = given.empty() ? "give the folder that the pictures' names are relative to: `images` DIR"
                                   : cat("check that `images` ", given.string(), " is the right folder");
  if (fs::path(first).is_absolute())
    hint = "the data has absolute picture names: check that the pictures were not moved";
  const fs::path right = right_folder(first, data, given);
  if (!right.empty()) hint += cat(" (`images` ", right.string(), " has ", shortened(first, kShownPicture), ")");
  return invalid_input(cat(data.file().string(), ": none of its pictures exists; ", names.size(),
                           " were checked, one is ", shortened(folder.resolve(first).string(), kShownPicture)),
                       hint);
}

}  // namespace striate
