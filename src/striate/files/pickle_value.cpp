#include "striate/files/pickle_value.h"

#include <array>

namespace striate {
namespace {

struct KnownGlobal {
  std::string_view module;
  std::string_view name;
  PickleGlobal global;
};

constexpr std::array kKnown = std::to_array<KnownGlobal>({
    {"collections", "OrderedDict", {PickleName::kOrderedDict, {}}},
    {"torch", "Size", {PickleName::kSize, {}}},
    {"torch", "Tensor", {PickleName::kTensorClass, {}}},
    {"torch.nn.parameter", "Parameter", {PickleName::kTensorClass, {}}},
    {"torch._utils", "_rebuild_tensor", {PickleName::kRebuildTensor, {}}},
    {"torch._utils", "_rebuild_tensor_v2", {PickleName::kRebuildTensorV2, {}}},
    {"torch._utils", "_rebuild_tensor_v3", {PickleName::kRebuildTensorV3, {}}},
    {"torch._utils", "_rebuild_parameter", {PickleName::kRebuildParameter, {}}},
    {"torch._utils", "_rebuild_parameter_with_state", {PickleName::kRebuildParameterWithState, {}}},
    {"torch._tensor", "_rebuild_from_type_v2", {PickleName::kRebuildFromType, {}}},
    {"torch.storage", "UntypedStorage", {PickleName::kStorageClass, {}}},
    {"torch", "UntypedStorage", {PickleName::kStorageClass, {}}},
    {"torch", "DoubleStorage", {PickleName::kStorageClass, at::kDouble}},
    {"torch", "FloatStorage", {PickleName::kStorageClass, at::kFloat}},
    {"torch", "HalfStorage", {PickleName::kStorageClass, at::kHalf}},
    {"torch", "BFloat16Storage", {PickleName::kStorageClass, at::kBFloat16}},
    {"torch", "LongStorage", {PickleName::kStorageClass, at::kLong}},
    {"torch", "IntStorage", {PickleName::kStorageClass, at::kInt}},
    {"torch", "ShortStorage", {PickleName::kStorageClass, at::kShort}},
    {"torch", "CharStorage", {PickleName::kStorageClass, at::kChar}},
    {"torch", "ByteStorage", {PickleName::kStorageClass, at::kByte}},
    {"torch", "BoolStorage", {PickleName::kStorageClass, at::kBool}},
    {"torch", "float64", {PickleName::kDtype, at::kDouble}},
    {"torch", "float32", {PickleName::kDtype, at::kFloat}},
    {"torch", "float16", {PickleName::kDtype, at::kHalf}},
    {"torch", "bfloat16", {PickleName::kDtype, at::kBFloat16}},
    {"torch", "float8_e4m3fn", {PickleName::kDtype, at::kFloat8_e4m3fn}},
    {"torch", "float8_e5m2", {PickleName::kDtype, at::kFloat8_e5m2}},
    {"torch", "int64", {PickleName::kDtype, at::kLong}},
    {"torch", "int32", {PickleName::kDtype, at::kInt}},
    {"torch", "int16", {PickleName::kDtype, at::kShort}},
    {"torch", "int8", {PickleName::kDtype, at::kChar}},
    {"torch", "uint64", {PickleName::kDtype, at::kUInt64}},
    {"torch", "uint32", {PickleName::kDtype, at::kUInt32}},
    {"torch", "uint16", {PickleName::kDtype, at::kUInt16}},
    {"torch", "uint8", {PickleName::kDtype, at::kByte}},
    {"torch", "bool", {PickleName::kDtype, at::kBool}},
});

}  // namespace

std::optional<PickleGlobal> find_pickle_global(std::string_view module, std::string_view name) {
  for (const KnownGlobal& known : kKnown) {
    if (known.module == module && known.name == name) return known.global;
  }
  return std::nullopt;
}

std::string_view kind_name(const PickleValue& value) {
  if (value.as<PickleValue::None>()) return "None";
  if (value.as<bool>()) return "a boolean";
  if (value.as<std::int64_t>() || value.as<double>()) return "a number";
  if (value.as<std::string>()) return "a string";
  if (value.as<PickleValue::Opaque>()) return "bytes";
  if (const auto* sequence = value.as<PickleValue::Sequence>()) return sequence->is_tuple ? "a tuple" : "a list";
  if (value.as<PickleValue::Dict>()) return "a dictionary";
  if (value.as<PickleValue::Tensor>()) return "a tensor";
  if (value.as<PickleValue::Storage>()) return "a storage";
  return "a class or function";
}

}  // namespace striate
