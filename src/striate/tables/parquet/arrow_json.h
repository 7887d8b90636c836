// Values of Arrow's arrays as JSON.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <nlohmann/json.hpp>

namespace striate {

// Numbers, booleans, texts, lists, objects (struct and map) and null; a float that is not finite is null, dates and
// decimals are text, binary that is not UTF-8 is null. The array is valid (Array::ValidateFull). Throws CorruptData
// where the value has over a million parts; `place` begins the message.
nlohmann::json arrow_json(const arrow::Array& array, std::int64_t row, const std::string& place);

}  // namespace striate
