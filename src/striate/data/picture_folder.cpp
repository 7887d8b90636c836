#include "striate/data/picture_folder.h"

#include <algorithm>

#include "striate/base/files.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestFile = 256'000'000;  // bytes of one encoded picture
// Pictures this long are fitted as well when they are checked: padding them may be refused (docs/images.md).
constexpr int kLongSide = 10'000;

}  // namespace

void check_images_folder(const fs::path& folder) {
  if (folder.empty() || fs::is_directory(folder)) return;
  throw invalid_input(cat(folder.string(), ": no such folder for the pictures"), "check --images");
}

fs::path PictureFolder::resolve(const std::string& name) const {
  if (name.empty() || name.find('\0') != std::string::npos) {
    throw BadSample(BadReason::kImagePath, "\"image\" names no file", "give a file's name, or leave \"image\" out");
  }
  const fs::path path = fs::path(name).lexically_normal();
  if (path.is_absolute()) return path;
  if (!path.empty() && *path.begin() == "..") {
    throw BadSample(BadReason::kImagePath, cat("image '", name, "' leads out of the images folder"),
                    "give a folder above it with --images, or absolute names");
  }
  return folder_ / path;
}

std::string PictureFolder::read(const fs::path& file) const {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (!fs::exists(status)) {
    throw BadSample(BadReason::kMissingImage, cat("image ", file.string(), ": no such file"),
                    "check the images folder (--images)");
  }
  if (!fs::is_regular_file(status)) {
    throw BadSample(BadReason::kMissingImage, cat("image ", file.string(), ": not a file"), "give a picture's file");
  }
  std::string bytes;
  try {
    bytes = read_file(file, kLargestFile);
  } catch (const Error& problem) {
    const bool large = problem.kind() == ErrorKind::kCorruptData;
    throw BadSample(large ? BadReason::kBrokenImage : BadReason::kMissingImage, cat("image ", problem.what()),
                    problem.hint());
  }
  if (bytes.empty()) {
    throw BadSample(BadReason::kBrokenImage, cat("image ", file.string(), ": empty"), "fetch the picture again");
  }
  return bytes;
}

Image PictureFolder::decode(const std::string& bytes, const fs::path& file) const {
  try {
    return decode_image(std::as_bytes(std::span(bytes)), file.string());
  } catch (const Error& problem) {
    throw BadSample(BadReason::kBrokenImage, cat("image ", problem.what()), problem.hint());
  }
}

std::vector<float> PictureFolder::pixels(const std::string& bytes, const fs::path& file) const {
  const Image image = decode(bytes, file);
  try {
    return preprocess(image, config_);
  } catch (const Error& problem) {
    throw BadSample(BadReason::kBrokenImage, cat("image ", file.string(), ": ", problem.what()), problem.hint());
  }
}

void PictureFolder::check(const fs::path& file) const {
  const std::string bytes = read(file);
  const Image image = decode(bytes, file);
  if (std::max(image.width, image.height) > kLongSide) pixels(bytes, file);
}

void PictureChecker::check(const std::string& name) {
  const std::size_t hash = std::hash<std::string>{}(name);
  {
    const std::scoped_lock lock(mutex_);
    if (good_.contains(hash)) return;
  }
  folder_.check(folder_.resolve(name));
  const std::scoped_lock lock(mutex_);
  good_.insert(hash);
}

}  // namespace striate
