// Tensors that are views of a memory-mapped file, and the arithmetic that keeps them inside it.
//
// Shapes, strides and offsets come from outside files: everything here is overflow-safe and bounded before it is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "striate/base/files.h"

namespace striate {

// The bytes of a dense tensor, or nullopt when the shape is impossible: a negative size, more than 64 dimensions, or a
// product (zeros counted as one) beyond 2^63 - 1.
std::optional<std::uint64_t> dense_bytes(at::ScalarType dtype, std::span<const std::int64_t> shape);

// Row-major strides in elements. `shape` must have passed dense_bytes().
std::vector<std::int64_t> dense_strides(std::span<const std::int64_t> shape);

// The bytes from the first element to the end of the last of a strided tensor (0 when it is empty), or nullopt when
// the shape is impossible, a stride is negative, ranks differ, or the sum overflows. `strides` are in elements.
std::optional<std::uint64_t> strided_extent(at::ScalarType dtype, std::span<const std::int64_t> shape,
                                            std::span<const std::int64_t> strides);

// A tensor whose first element lies at byte `offset` of `file`: a view that keeps the map alive, or a copy where the
// offset is not a multiple of the element size. The extent must lie inside the file (Internal otherwise).
// Throws CorruptData, naming `name`, when a boolean tensor holds bytes other than 0 and 1.
at::Tensor mapped_tensor(std::shared_ptr<const MappedFile> file, std::uint64_t offset, at::ScalarType dtype,
                         std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                         std::string_view name);

// A name from an outside file, quoted and safe to print on one line: control characters escaped, long ones cut.
std::string quoted_name(std::string_view name);

// "[2, 3]".
std::string shape_text(std::span<const std::int64_t> shape);

// Throws CorruptData when the file is a Git LFS pointer: a checkout without the large files themselves.
void refuse_lfs_pointer(const MappedFile& file);

}  // namespace striate
