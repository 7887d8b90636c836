// Typed access to a JSON object of settings, with errors that name file and key.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {

// A view of one JSON object; a key that is absent or null takes the given default.
class ConfigReader {
 public:
  // Throws CorruptData when `json` is not an object.
  ConfigReader(const nlohmann::json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) throw corrupt_data(cat(where_, ": not a JSON object"), "is it a Hugging Face config.json?");
  }

  bool has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }

  // A whole number in [low, high].
  std::int64_t integer(const char* key, std::int64_t fallback, std::int64_t low = 1,
                       std::int64_t high = std::int64_t{1} << 32) const {
    if (!has(key)) return fallback;
    const nlohmann::json& value = json_.at(key);
    if (!value.is_number_integer()) throw wrong(key, "a whole number");
    const auto number = value.get<std::int64_t>();
    if (number < low || number > high) throw wrong(key, cat("between ", low, " and ", high));
    return number;
  }

  double number(const char* key, double fallback) const {
    if (!has(key)) return fallback;
    const nlohmann::json& value = json_.at(key);
    if (!value.is_number()) throw wrong(key, "a number");
    return value.get<double>();
  }

  bool boolean(const char* key, bool fallback) const {
    if (!has(key)) return fallback;
    const nlohmann::json& value = json_.at(key);
    if (!value.is_boolean()) throw wrong(key, "true or false");
    return value.get<bool>();
  }

  std::string text(const char* key, const std::string& fallback) const {
    if (!has(key)) return fallback;
    const nlohmann::json& value = json_.at(key);
    if (!value.is_string()) throw wrong(key, "a string");
    return value.get<std::string>();
  }

  const nlohmann::json& at(const char* key) const { return json_.at(key); }
  const std::string& where() const { return where_; }

  Error wrong(const char* key, const std::string& expected) const {
    return corrupt_data(cat(where_, ": \"", key, "\" is ", json_.at(key).dump().substr(0, 60), ", not ", expected),
                        "compare it with the published config of this model");
  }

 private:
  const nlohmann::json& json_;
  std::string where_;
};

}  // namespace striate
