#include "striate/text/json_fields.h"

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

Error wrong_type(const std::string& where, const char* key, const char* wanted, const Json& value) {
  return corrupt_data(cat(where, ": '", key, "' is ", value.type_name(), ", not ", wanted),
                      "the file is damaged: download it again");
}

}  // namespace

Json parse_json_object(std::string_view text, const std::string& where) {
  Json document = parse_json(text, where, kTokenizerJson);
  if (!document.is_object()) {
    throw corrupt_data(cat(where, ": the document is ", document.type_name(), ", not an object"),
                       "check that it is the right file");
  }
  return document;
}

const Json& json_field(const Json& object, const char* key, const std::string& where) {
  static const Json null;
  if (!object.is_object()) {
    throw corrupt_data(cat(where, " is ", object.type_name(), ", not an object"),
                       "the file is damaged: download it again");
  }
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

bool json_bool(const Json& object, const char* key, bool otherwise, const std::string& where) {
  const Json& value = json_field(object, key, where);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) throw wrong_type(where, key, "true or false", value);
  return value.get<bool>();
}

std::string json_string(const Json& object, const char* key, const std::string& where) {
  const Json& value = json_field(object, key, where);
  if (!value.is_string()) throw wrong_type(where, key, "a string", value);
  return value.get<std::string>();
}

std::optional<std::string> json_optional_string(const Json& object, const char* key, const std::string& where) {
  if (json_field(object, key, where).is_null()) return std::nullopt;
  return json_string(object, key, where);
}

std::int64_t json_token_id(const Json& value, const std::string& where) {
  const bool in_range =
      value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= kLargestTokenId);
  if (!in_range || value.get<std::int64_t>() < 0 || value.get<std::int64_t>() > kLargestTokenId) {
    throw corrupt_data(cat(where, ": not a token id (a whole number from 0 to ", kLargestTokenId, ")"),
                       "the file is damaged: download it again");
  }
  return value.get<std::int64_t>();
}

const Json& json_array(const Json& object, const char* key, const std::string& where) {
  static const Json empty = Json::array();
  const Json& value = json_field(object, key, where);
  if (value.is_null()) return empty;
  if (!value.is_array()) throw wrong_type(where, key, "an array", value);
  return value;
}

}  // namespace striate
