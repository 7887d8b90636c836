// What the reader and the writer of GGUF share: the file format of ggml and llama.cpp, version 3
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Little-endian: magic, version, counts, metadata, a
// record per tensor, padding, data; every tensor begins at a multiple of `general.alignment`.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace striate {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::uint32_t kGgufAlignment = 32;  // where general.alignment says nothing else
inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
inline constexpr std::size_t kGgufDimensions = 4;       // ggml has no more
inline constexpr std::size_t kGgufLongestName = 63;     // of a tensor, in bytes: ggml keeps 64 with the closing zero
inline constexpr std::int64_t kQ8Block = 32;            // q8_0: this many numbers share a scale
inline constexpr std::uint64_t kQ8BlockBytes = 2 + 32;  // the scale in fp16, a signed byte each

// The types of ggml that Striate reads and writes, by their ids in the file.
enum class GgufType : std::uint32_t { kFloat32 = 0, kFloat16 = 1, kQ8_0 = 8, kBFloat16 = 30 };

// nullopt for a type that Striate does not know.
std::optional<GgufType> gguf_type(std::uint32_t id);
// "f32", "f16", "q8_0", "bf16".
std::string gguf_type_name(GgufType type);
// What numbers of a type are as a tensor of LibTorch: q8_0 unpacked is fp32.
at::ScalarType loaded_dtype(GgufType type);
// Bytes of a tensor, rows innermost (`shape` as LibTorch writes it, the longest stride first); nullopt when a size is
// not positive, q8_0 rows are not a multiple of a block, or the product overflows. No dimensions: one number.
std::optional<std::uint64_t> gguf_tensor_bytes(GgufType type, std::span<const std::int64_t> shape);

// A metadata array, and a metadata value. The index of the alternative is the type's id in the file; arrays of arrays
// (index 9 of an array) do not occur in practice and are refused.
using GgufArray = std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
                               std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                               std::vector<float>, std::vector<bool>, std::vector<std::string>, std::monostate,
                               std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;
using GgufValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                               float, bool, std::string, GgufArray, std::uint64_t, std::int64_t, double>;
inline constexpr std::size_t kGgufArrayIndex = 9;

// In the order of the file.
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

}  // namespace striate
