#include "striate/data/feature_cache.h"

#include <ATen/ops/empty.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/log.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "striate features 1\n";
constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 30;
constexpr std::size_t kHashDigits = 64;

// What stands between the magic and the values.
struct Shape {
  std::int64_t dtype;
  std::int64_t rows;
  std::int64_t columns;
};

std::optional<at::ScalarType> known_dtype(std::int64_t dtype) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    if (static_cast<std::int64_t>(type) == dtype) return type;
  }
  return std::nullopt;
}

std::string serialise(const at::Tensor& features) {
  const at::Tensor values = features.cpu().contiguous();
  const Shape shape{static_cast<std::int64_t>(values.scalar_type()), values.size(0), values.size(1)};
  std::string text(kMagic);
  text.append(reinterpret_cast<const char*>(&shape), sizeof shape);
  text.append(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  text += sha256_of(text);
  return text;
}

// Undefined for anything but a whole file.
at::Tensor deserialise(std::string_view text) {
  constexpr std::size_t kAround = kMagic.size() + sizeof(Shape) + kHashDigits;
  if (text.size() < kAround || !text.starts_with(kMagic)) return {};
  const std::string_view hashed = text.substr(0, text.size() - kHashDigits);
  if (sha256_of(hashed) != text.substr(hashed.size())) return {};
  Shape shape{};
  std::memcpy(&shape, text.data() + kMagic.size(), sizeof shape);
  const auto dtype = known_dtype(shape.dtype);
  if (!dtype || shape.rows < 0 || shape.columns < 0) return {};
  at::Tensor values = at::empty({shape.rows, shape.columns}, at::TensorOptions(*dtype));
  if (values.nbytes() != text.size() - kAround) return {};
  std::memcpy(values.mutable_data_ptr(), text.data() + kMagic.size() + sizeof shape, values.nbytes());
  return values;
}

}  // namespace

at::Tensor FeatureCache::get(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  const auto place = places_.find(key);
  if (place == places_.end()) return {};
  entries_.splice(entries_.begin(), entries_, place->second);
  return place->second->second;
}

void FeatureCache::put(const std::string& key, const at::Tensor& features) {
  const auto size = static_cast<std::int64_t>(features.nbytes());
  const std::scoped_lock lock(mutex_);
  if (size > most_bytes_ || places_.contains(key)) return;
  while (bytes_ + size > most_bytes_) {
    bytes_ -= static_cast<std::int64_t>(entries_.back().second.nbytes());
    places_.erase(entries_.back().first);
    entries_.pop_back();
  }
  entries_.emplace_front(key, arena_.copy(features));
  places_.emplace(key, entries_.begin());
  bytes_ += size;
}

void FeatureCache::clear() {
  const std::scoped_lock lock(mutex_);
  entries_.clear();
  places_.clear();
  bytes_ = 0;
}

std::int64_t FeatureCache::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

FeatureFolder::FeatureFolder(fs::path folder, std::string identity)
    : folder_(std::move(folder)), identity_(std::move(identity)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!fs::is_directory(folder_)) {
    throw resource_error(cat(folder_.string(), ": the folder cannot be made: ", error.message()),
                         "give another --feature-cache-dir");
  }
}

std::string FeatureFolder::key(const std::string& picture) const {
  return sha256_of(cat(identity_, "\n", sha256_of(picture)));
}

fs::path FeatureFolder::path_of(const std::string& key) const {
  return folder_ / key.substr(0, 2) / (key.substr(2) + ".features");
}

at::Tensor FeatureFolder::get(const std::string& key) const {
  const fs::path path = path_of(key);
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return {};
  try {
    return deserialise(read_file(path, kLargestFile));
  } catch (const Error&) {  // unreadable: as good as absent
    return {};
  }
}

// Not an AtomicFile: what is not on the disk after a power cut fails its hash, and waiting for the disk for every
// picture would cost more than computing the features again.
void FeatureFolder::put(const std::string& key, const at::Tensor& features) {
  const fs::path path = path_of(key);
  const fs::path temporary = path.parent_path() / cat(key.substr(2), ".", getpid(), ".", written_++, ".tmp");
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  {
    std::ofstream file(temporary, std::ios::binary);
    const std::string text = serialise(features);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    if (file) fs::rename(temporary, path, error);
    if (file && !error) return;
  }
  fs::remove(temporary, error);
  if (!warned_.exchange(true)) {
    log_warn(cat(path.string(), ": cannot be written; features are computed again next time"));
  }
}

}  // namespace striate
