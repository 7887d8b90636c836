#include "striate/tables/parquet/arrow_json.h"

#include <arrow/api.h>

#include <cmath>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::size_t kMostParts = 1'000'000;  // of one value

class ArrowJson {
 public:
  explicit ArrowJson(const std::string& place) : place_(place) {}

  nlohmann::json value(const arrow::Array& array, std::int64_t i) {
    if (++parts_ > kMostParts) {
      throw corrupt_data(cat(place_, ": a cell has over a million parts"), "get the file anew from its publisher");
    }
    if (array.IsNull(i)) return nullptr;
    switch (array.type_id()) {
      case arrow::Type::BOOL:
        return static_cast<const arrow::BooleanArray&>(array).Value(i);
      case arrow::Type::INT8:
        return number<arrow::Int8Array>(array, i);
      case arrow::Type::INT16:
        return number<arrow::Int16Array>(array, i);
      case arrow::Type::INT32:
        return number<arrow::Int32Array>(array, i);
      case arrow::Type::INT64:
        return number<arrow::Int64Array>(array, i);
      case arrow::Type::UINT8:
        return number<arrow::UInt8Array>(array, i);
      case arrow::Type::UINT16:
        return number<arrow::UInt16Array>(array, i);
      case arrow::Type::UINT32:
        return number<arrow::UInt32Array>(array, i);
      case arrow::Type::UINT64:
        return number<arrow::UInt64Array>(array, i);
      case arrow::Type::FLOAT:
        return finite(static_cast<const arrow::FloatArray&>(array).Value(i));
      case arrow::Type::DOUBLE:
        return finite(static_cast<const arrow::DoubleArray&>(array).Value(i));
      case arrow::Type::STRING:
      case arrow::Type::BINARY:
        return text(static_cast<const arrow::BinaryArray&>(array).GetView(i));
      case arrow::Type::LARGE_STRING:
      case arrow::Type::LARGE_BINARY:
        return text(static_cast<const arrow::LargeBinaryArray&>(array).GetView(i));
      case arrow::Type::STRING_VIEW:
      case arrow::Type::BINARY_VIEW:
        return text(static_cast<const arrow::BinaryViewArray&>(array).GetView(i));
      case arrow::Type::LIST:
        return items(*static_cast<const arrow::ListArray&>(array).value_slice(i));
      case arrow::Type::LARGE_LIST:
        return items(*static_cast<const arrow::LargeListArray&>(array).value_slice(i));
      case arrow::Type::FIXED_SIZE_LIST:
        return items(*static_cast<const arrow::FixedSizeListArray&>(array).value_slice(i));
      case arrow::Type::MAP:
        return items(*static_cast<const arrow::MapArray&>(array).value_slice(i));
      case arrow::Type::STRUCT:
        return members(static_cast<const arrow::StructArray&>(array), i);
      case arrow::Type::DICTIONARY: {
        const auto& coded = static_cast<const arrow::DictionaryArray&>(array);
        return value(*coded.dictionary(), coded.GetValueIndex(i));
      }
      case arrow::Type::EXTENSION:
        return value(*static_cast<const arrow::ExtensionArray&>(array).storage(), i);
      default:
        return in_words(array, i);
    }
  }

 private:
  template <typename Array>
  static nlohmann::json number(const arrow::Array& array, std::int64_t i) {
    return static_cast<const Array&>(array).Value(i);
  }

  static nlohmann::json finite(double value) {
    return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
  }

  static nlohmann::json text(std::string_view value) {
    return is_valid_utf8(value) ? nlohmann::json(std::string(value)) : nlohmann::json(nullptr);
  }

  nlohmann::json items(const arrow::Array& slice) {
    nlohmann::json list = nlohmann::json::array();
    for (std::int64_t i = 0; i < slice.length(); ++i) list.push_back(value(slice, i));
    return list;
  }

  nlohmann::json members(const arrow::StructArray& array, std::int64_t i) {
    nlohmann::json object = nlohmann::json::object();
    for (int member = 0; member < array.num_fields(); ++member) {
      object[array.struct_type()->field(member)->name()] = value(*array.field(member), i);
    }
    return object;
  }

  // Dates, decimals and whatever else is no JSON.
  nlohmann::json in_words(const arrow::Array& array, std::int64_t i) const {
    const auto scalar = array.GetScalar(i);
    return scalar.ok() ? text((*scalar)->ToString()) : nlohmann::json(nullptr);
  }

  std::string place_;
  std::size_t parts_ = 0;
};

}  // namespace

nlohmann::json arrow_json(const arrow::Array& array, std::int64_t row, const std::string& place) {
  return ArrowJson(place).value(array, row);
}

}  // namespace striate
