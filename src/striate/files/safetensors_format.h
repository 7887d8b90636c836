// What the reader and the writer of safetensors share (https://huggingface.co/docs/safetensors): a little-endian u64
// with the header's length, the header (one JSON object), then the data without holes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace striate {

inline constexpr std::uint64_t kSafetensorsLengthBytes = 8;
inline constexpr std::uint64_t kSafetensorsHeaderCap = 100'000'000;  // the reference implementation's own cap
inline constexpr std::string_view kSafetensorsMetadata = "__metadata__";

// "BF16" -> at::kBFloat16; nullopt when there is no such type here.
std::optional<at::ScalarType> safetensors_dtype(std::string_view name);
// at::kBFloat16 -> "BF16"; nullopt when safetensors has no such type.
std::optional<std::string_view> safetensors_dtype_name(at::ScalarType dtype);
// "BOOL, U8, ...", for hints.
std::string safetensors_dtype_names();

}  // namespace striate
