#include "striate/files/mapped_tensor.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kMaxRank = 64;  // what ATen's iterators take

// Loading any other byte as a C++ bool is undefined.
void check_booleans(std::span<const std::byte> bytes, const MappedFile& file, std::string_view name) {
  const bool good = std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b <= std::byte{1}; });
  if (!good) {
    throw corrupt_data(
        cat(file.path().string(), ": tensor ", quoted_name(name), " is boolean but holds bytes other than 0 and 1"),
        "the file is damaged: download or write it again");
  }
}

}  // namespace

std::optional<std::uint64_t> dense_bytes(at::ScalarType dtype, std::span<const std::int64_t> shape) {
  if (shape.size() > kMaxRank) return std::nullopt;
  std::uint64_t bound = c10::elementSize(dtype);
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    empty = empty || size == 0;
    const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
    if (bound > kMaxBytes / factor) return std::nullopt;
    bound *= factor;
  }
  return empty ? 0 : bound;
}

std::vector<std::int64_t> dense_strides(std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

std::optional<std::uint64_t> strided_extent(at::ScalarType dtype, std::span<const std::int64_t> shape,
                                            std::span<const std::int64_t> strides) {
  const std::optional<std::uint64_t> dense = dense_bytes(dtype, shape);
  if (!dense || shape.size() != strides.size()) return std::nullopt;
  const std::uint64_t element = c10::elementSize(dtype);
  std::uint64_t last = 0;  // index of the last element
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (strides[i] < 0) return std::nullopt;
    const auto steps = static_cast<std::uint64_t>(std::max<std::int64_t>(shape[i] - 1, 0));
    const auto stride = static_cast<std::uint64_t>(strides[i]);
    if (steps != 0 && stride > kMaxBytes / steps) return std::nullopt;
    if (steps * stride > kMaxBytes / element - 1 - last) return std::nullopt;
    last += steps * stride;
  }
  return *dense == 0 ? 0 : (last + 1) * element;
}

at::Tensor mapped_tensor(std::shared_ptr<const MappedFile> file, std::uint64_t offset, at::ScalarType dtype,
                         std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                         std::string_view name) {
  const std::optional<std::uint64_t> extent = strided_extent(dtype, shape, strides);
  const std::uint64_t size = file->bytes().size();
  if (!extent || offset > size || *extent > size - offset) {
    throw internal_error(
        cat(file->path().string(), ": tensor ", quoted_name(name), " was not checked before it was mapped"));
  }
  const at::IntArrayRef sizes(shape.data(), shape.size());
  const at::IntArrayRef steps(strides.data(), strides.size());
  const at::TensorOptions options = at::TensorOptions().dtype(dtype);
  if (*extent == 0) return at::empty(sizes, options);
  const std::span<const std::byte> bytes = file->bytes().subspan(offset, *extent);
  if (dtype == at::kBool) check_booleans(bytes, *file, name);
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % c10::elementSize(dtype) != 0) {
    // Same strides, so that the bytes keep their places; from the first element on nothing else is in between.
    at::Tensor copy = at::empty_strided(sizes, steps, options);
    std::memcpy(copy.mutable_data_ptr(), bytes.data(), bytes.size());
    return copy;
  }
  // ATen has no constant tensors: the map is read-only, so a write that should not happen stops the program.
  void* data = const_cast<std::byte*>(bytes.data());
  return at::from_blob(
      data, sizes, steps, [file = std::move(file)](void*) {}, options);
}

std::string quoted_name(std::string_view name) {
  constexpr std::size_t kLongest = 160;
  std::string text = "\"";
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (text.size() > kLongest && (static_cast<unsigned char>(name[i]) & 0xC0) != 0x80) {
      text += "...";
      break;
    }
    const auto c = static_cast<unsigned char>(name[i]);
    if (c < 0x20 || c == 0x7F || c == '"' || c == '\\') {
      constexpr std::string_view kHex = "0123456789abcdef";
      text += cat("\\x", kHex[c >> 4], kHex[c & 15]);
    } else {
      text += name[i];
    }
  }
  return text + '"';
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
  return cat('[', join(sizes, ", "), ']');
}

void refuse_lfs_pointer(const MappedFile& file) {
  constexpr std::string_view kPointer = "version https://git-lfs.github.com/spec/";
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() >= kPointer.size() && std::memcmp(bytes.data(), kPointer.data(), kPointer.size()) == 0) {
    throw corrupt_data(cat(file.path().string(), ": a Git LFS pointer, not the weights themselves"),
                       "run `git lfs pull` in the repository it came from, or download the file itself");
  }
}

}  // namespace striate
