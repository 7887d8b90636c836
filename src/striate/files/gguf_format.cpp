#include "striate/files/gguf_format.h"

#include <limits>

#include "striate/base/error.h"

namespace striate {

std::optional<GgufType> gguf_type(std::uint32_t id) {
  for (const GgufType type : {GgufType::kFloat32, GgufType::kFloat16, GgufType::kQ8_0, GgufType::kBFloat16}) {
    if (static_cast<std::uint32_t>(type) == id) return type;
  }
  return std::nullopt;
}

std::string gguf_type_name(GgufType type) {
  switch (type) {
    case GgufType::kFloat32:
      return "f32";
    case GgufType::kFloat16:
      return "f16";
    case GgufType::kQ8_0:
      return "q8_0";
    case GgufType::kBFloat16:
      return "bf16";
  }
  throw internal_error("unknown GGUF type");
}

at::ScalarType loaded_dtype(GgufType type) {
  switch (type) {
    case GgufType::kFloat16:
      return at::kHalf;
    case GgufType::kBFloat16:
      return at::kBFloat16;
    case GgufType::kFloat32:
    case GgufType::kQ8_0:
      return at::kFloat;
  }
  throw internal_error("unknown GGUF type");
}

std::optional<std::uint64_t> gguf_tensor_bytes(GgufType type, std::span<const std::int64_t> shape) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 60;  // in elements: their bytes fit in 64 bits
  std::uint64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size <= 0 || static_cast<std::uint64_t>(size) > kMost / count) return std::nullopt;
    count *= static_cast<std::uint64_t>(size);
  }
  switch (type) {
    case GgufType::kFloat32:
      return 4 * count;
    case GgufType::kFloat16:
    case GgufType::kBFloat16:
      return 2 * count;
    case GgufType::kQ8_0:
      if (shape.empty() || shape.back() % kQ8Block != 0) return std::nullopt;
      return count / static_cast<std::uint64_t>(kQ8Block) * kQ8BlockBytes;
  }
  throw internal_error("unknown GGUF type");
}

}  // namespace striate
