#include "striate/data/feature_cache.h"

#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <string_view>
#include <system_error>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// A file: kMagic; a line "ORDER TYPE ROWS COLUMNS", as in "little-endian bfloat16 576 1024"; the values, row by row;
// the SHA-256 of all that as 64 hexadecimal digits. Version 1 stated neither byte order nor type.
constexpr std::string_view kMagic = "striate features 2\n";
constexpr std::string_view kByteOrder = std::endian::native == std::endian::little ? "little-endian" : "big-endian";
constexpr std::uint64_t kLargestFeatures = std::uint64_t{1} << 30;
constexpr std::size_t kHashDigits = 64;
constexpr std::size_t kLongestLine = 80;

constexpr std::array<std::pair<at::ScalarType, std::string_view>, 3> kElementTypes = {
    {{at::kFloat, "float32"}, {at::kBFloat16, "bfloat16"}, {at::kHalf, "float16"}}};

std::string_view type_name(at::ScalarType type) {
  for (const auto& [known, name] : kElementTypes) {
    if (known == type) return name;
  }
  throw internal_error("features of a type that the cache does not keep");
}

// The type and shape of a file whose line is `line`; nothing for another byte order, an unknown type, or anything else.
struct Shape {
  at::ScalarType type;
  std::int64_t rows, columns;
};

std::optional<std::int64_t> whole_number(const std::string& digits) {
  std::int64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || value < 0) return std::nullopt;
  return value;
}

std::optional<Shape> read_shape(std::string_view line) {
  const std::vector<std::string> words = split(std::string(line), ' ');
  if (words.size() != 4 || words[0] != kByteOrder) return std::nullopt;
  const auto rows = whole_number(words[2]), columns = whole_number(words[3]);
  constexpr auto kMost = static_cast<std::int64_t>(kLargestFeatures);
  if (!rows || !columns || *rows > kMost || *columns > kMost) return std::nullopt;
  for (const auto& [type, name] : kElementTypes) {
    if (name == words[1]) return Shape{type, *rows, *columns};
  }
  return std::nullopt;
}

std::string serialise(const at::Tensor& features) {
  const at::Tensor values = features.cpu().contiguous();
  std::string text =
      cat(kMagic, kByteOrder, ' ', type_name(values.scalar_type()), ' ', values.size(0), ' ', values.size(1), '\n');
  text.append(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  text += sha256_of(text);
  return text;
}

// Undefined for anything but a whole file of this machine's byte order.
at::Tensor deserialise(std::string_view text) {
  if (text.size() < kMagic.size() + kHashDigits || !text.starts_with(kMagic)) return {};
  const std::string_view hashed = text.substr(0, text.size() - kHashDigits);
  if (sha256_of(hashed) != text.substr(hashed.size())) return {};
  const std::string_view rest = hashed.substr(kMagic.size());
  const std::size_t line = rest.substr(0, kLongestLine).find('\n');
  if (line == std::string_view::npos) return {};
  const std::optional<Shape> shape = read_shape(rest.substr(0, line));
  if (!shape) return {};
  const std::string_view bytes = rest.substr(line + 1);
  const std::uint64_t row = static_cast<std::uint64_t>(shape->columns) * c10::elementSize(shape->type);
  if (static_cast<std::uint64_t>(shape->rows) * row != bytes.size()) return {};
  at::Tensor values = at::empty({shape->rows, shape->columns}, at::TensorOptions(shape->type));
  std::memcpy(values.mutable_data_ptr(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

FeatureCache::FeatureCache(std::int64_t most_bytes, KeptAs kept_as)
    : arena_(kept_as == KeptAs::kPinnedCopies ? SlotMemory::kPinned : SlotMemory::kMapped),
      most_bytes_(most_bytes),
      kept_as_(kept_as) {}

at::Tensor FeatureCache::get(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  const auto place = places_.find(key);
  if (place == places_.end()) return {};
  entries_.splice(entries_.begin(), entries_, place->second);
  return place->second->second;
}

at::Tensor FeatureCache::put(const std::string& key, const at::Tensor& features) {
  const auto size = static_cast<std::int64_t>(features.nbytes());
  const std::scoped_lock lock(mutex_);
  if (const auto place = places_.find(key); place != places_.end()) return place->second->second;
  if (size > most_bytes_) return features;
  while (bytes_ + size > most_bytes_) {
    bytes_ -= static_cast<std::int64_t>(entries_.back().second.nbytes());
    places_.erase(entries_.back().first);
    entries_.pop_back();
  }
  entries_.emplace_front(key, kept_as_ == KeptAs::kTensors ? features : arena_.copy(features));
  places_.emplace(key, entries_.begin());
  bytes_ += size;
  return entries_.front().second;
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

FeatureFolder::FeatureFolder(fs::path folder, std::string identity, Notes notes)
    : folder_(std::move(folder)), identity_(std::move(identity)), notes_(std::move(notes)) {
  make_folders(folder_);
}

std::string FeatureFolder::key(const std::string& picture) const {
  return sha256_of(cat(identity_, "\n", sha256_of(picture)));
}

fs::path FeatureFolder::name_of(const std::string& key) {
  return fs::path(key.substr(0, 2)) / (key.substr(2) + ".features");
}

at::Tensor FeatureFolder::get(const std::string& key) const {
  const fs::path path = folder_ / name_of(key);
  try {
    if (!is_file(path)) return {};
    return deserialise(read_file(path, kLargestFeatures));
  } catch (const Error&) {  // unreadable: as good as absent
    return {};
  }
}

// What is not on the disk after a power cut fails its hash, and waiting for the disk for every picture would cost more
// than computing the features again.
void FeatureFolder::put(const std::string& key, const at::Tensor& features) {
  try {
    write_file(OutputPath::inside(folder_, name_of(key)), serialise(features), Durability::kCache);
  } catch (const Error& error) {
    if (!warned_.exchange(true)) notes_.warn(cat(error.what(), "; features will be computed again next time"));
  }
}

}  // namespace striate
