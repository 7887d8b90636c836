// Reading fields of a JSON document that may be anything: every miss is CorruptData that says where.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace striate {

using Json = nlohmann::json;

// The document. Throws CorruptData naming `where` when `text` is not JSON or not an object.
Json parse_json_object(std::string_view text, const std::string& where);

// object[key]; null where it is absent or null. Throws CorruptData when `object` is not an object.
const Json& json_field(const Json& object, const char* key, const std::string& where);

// object[key] of that type, or the default where it is absent or null. Throw CorruptData on another type.
bool json_bool(const Json& object, const char* key, bool otherwise, const std::string& where);
std::string json_string(const Json& object, const char* key, const std::string& where);
std::optional<std::string> json_optional_string(const Json& object, const char* key, const std::string& where);
// A token id: a whole number from 0 to kLargestTokenId.
inline constexpr std::int64_t kLargestTokenId = (std::int64_t{1} << 21) - 1;
std::int64_t json_token_id(const Json& value, const std::string& where);
// object[key] as an array; an empty one where it is absent or null.
const Json& json_array(const Json& object, const char* key, const std::string& where);

}  // namespace striate
