#include "striate/data/picture_folder.h"

#include <algorithm>

#include "striate/base/files.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/image/picture_name.h"
#include "striate/image/picture_turn.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestPicture = 256'000'000;  // bytes of one encoded picture
// Pictures this long are fitted as well when they are checked: padding them may be refused (docs/images.md).
constexpr int kLongSide = 10'000;
constexpr std::size_t kShownName = 300;  // bytes of a name in a message

}  // namespace

void check_images_folder(const fs::path& folder) {
  if (folder.empty() || is_folder(folder)) return;
  throw invalid_input(cat(folder.string(), ": no such folder for the pictures"), "check `images`");
}

fs::path PictureFolder::resolve(const std::string& name) const {
  if (name.empty() || name.find('\0') != std::string::npos) {
    throw BadSample(BadReason::kImagePath, "\"image\" does not name a file",
                    "give a file's name, or leave \"image\" out");
  }
  if (const auto other = not_a_file(name)) throw BadSample(BadReason::kImagePath, other->what, other->hint);
  const fs::path path = fs::path(name).lexically_normal();
  if (path.is_absolute()) return path;
  if (!path.empty() && *path.begin() == "..") {
    throw BadSample(BadReason::kImagePath,
                    cat("image '", shortened(name, kShownName), "' is outside the images folder"),
                    "give a folder above it with `images`, or absolute names");
  }
  return folder_ / path;
}

std::string PictureFolder::read(const fs::path& file) const {
  std::string bytes;
  try {
    const PathKind kind = path_kind(file);
    if (kind == PathKind::kAbsent) {
      throw BadSample(BadReason::kMissingImage, cat("image ", shortened(file.string(), kShownName), ": no such file"),
                      "check the images folder (`images`)");
    }
    if (kind != PathKind::kFile) {
      throw BadSample(BadReason::kMissingImage, cat("image ", shortened(file.string(), kShownName), ": not a file"),
                      "give a picture's file");
    }
    bytes = read_file(file, kLargestPicture);
  } catch (const BadSample&) {
    throw;
  } catch (const Error& problem) {
    if (problem.kind() == ErrorKind::kResource) throw;
    const bool large = problem.kind() == ErrorKind::kCorruptData;
    throw BadSample(large ? BadReason::kBrokenImage : BadReason::kMissingImage, cat("image ", problem.what()),
                    problem.hint());
  }
  if (bytes.empty()) {
    throw BadSample(BadReason::kBrokenImage, cat("image ", file.string(), ": empty"), "download the picture again");
  }
  return bytes;
}

Image PictureFolder::decode(const std::string& bytes, const fs::path& file, PictureTurn& turn) const {
  try {
    Image image = decode_image(std::as_bytes(std::span(bytes)), file.string(), turn);
    const auto side = static_cast<std::uint64_t>(std::max(image.width, image.height));
    if (config_.pad_to_square) turn.take(side * side * 3);
    return image;
  } catch (const Error& problem) {
    if (problem.kind() == ErrorKind::kResource) throw;
    throw BadSample(BadReason::kBrokenImage, cat("image ", problem.what()), problem.hint());
  }
}

std::vector<float> PictureFolder::pixels(const std::string& bytes, const fs::path& file) const {
  PictureTurn turn;
  return fit(decode(bytes, file, turn), file);
}

std::vector<float> PictureFolder::fit(const Image& image, const fs::path& file) const {
  try {
    return preprocess(image, config_);
  } catch (const Error& problem) {
    if (problem.kind() == ErrorKind::kResource) throw;
    throw BadSample(BadReason::kBrokenImage, cat("image ", file.string(), ": ", problem.what()), problem.hint());
  }
}

EncodedPicture PictureFolder::open(const std::string& name) const {
  if (inside_) {
    try {
      if (std::optional<std::string> bytes = inside_->bytes(name)) return {std::move(*bytes), name};
    } catch (const Error& problem) {
      if (problem.kind() == ErrorKind::kResource) throw;
      throw BadSample(BadReason::kBrokenImage, cat("image ", problem.what()), problem.hint());
    }
  }
  const fs::path file = resolve(name);
  return {read(file), file};
}

void PictureFolder::check(const std::string& name) const {
  const EncodedPicture picture = open(name);
  PictureTurn turn;
  const Image image = decode(picture.bytes, picture.place, turn);
  if (std::max(image.width, image.height) > kLongSide) fit(image, picture.place);
}

void PictureChecker::check(const std::string& name) {
  const std::size_t hash = std::hash<std::string>{}(name);
  {
    const std::scoped_lock lock(mutex_);
    if (good_.contains(hash)) return;
  }
  folder_.check(name);
  const std::scoped_lock lock(mutex_);
  good_.insert(hash);
}

bool PictureChecker::found_any() const {
  const std::scoped_lock lock(mutex_);
  return !good_.empty();
}

}  // namespace striate
