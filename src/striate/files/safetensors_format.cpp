#include "striate/files/safetensors_format.h"

#include <array>
#include <utility>
#include <vector>

#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 15> kTypes{{
    {"F32", at::kFloat},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"F64", at::kDouble},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E5M2", at::kFloat8_e5m2},
    {"BOOL", at::kBool},
    {"U8", at::kByte},
    {"I8", at::kChar},
    {"U16", at::kUInt16},
    {"I16", at::kShort},
    {"U32", at::kUInt32},
    {"I32", at::kInt},
    {"U64", at::kUInt64},
    {"I64", at::kLong},
}};

}  // namespace

std::optional<at::ScalarType> safetensors_dtype(std::string_view name) {
  for (const auto& [known, dtype] : kTypes) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

std::optional<std::string_view> safetensors_dtype_name(at::ScalarType dtype) {
  for (const auto& [name, known] : kTypes) {
    if (known == dtype) return name;
  }
  return std::nullopt;
}

std::string safetensors_dtype_names() {
  std::vector<std::string> names;
  for (const auto& [name, dtype] : kTypes) names.emplace_back(name);
  return join(names, ", ");
}

}  // namespace striate
