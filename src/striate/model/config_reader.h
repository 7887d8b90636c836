// Typed access to a JSON object of settings, with errors that name file and key.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"

namespace striate {

// A view of one JSON object; a key that is absent or null takes the given default.
class ConfigReader {
 public:
  // Throws CorruptData when `json` is not an object.
  ConfigReader(const nlohmann::json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object())
      throw corrupt_data(cat(where_, ": not a JSON object"), "check that it is a Hugging Face config.json");
  }

  bool has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }

  // A whole number in [low, high].
  std::int64_t integer(const char* key, std::int64_t fallback, std::int64_t low = 1,
                       std::int64_t high = std::int64_t{1} << 32) const {
    if (!has(key)) return fallback;
    const nlohmann::json& value = json_.at(key);
    if (!value.is_number_integer()) throw wrong(key, "a whole number");
    if (!within(value, low, high)) throw wrong(key, cat("between ", low, " and ", high));
    return value.get<std::int64_t>();
  }

  // A list of whole numbers in [low, high]; empty where the key is absent or null.
  std::vector<std::int64_t> integers(const char* key, std::int64_t low, std::int64_t high) const {
    if (!has(key)) return {};
    const nlohmann::json& list = json_.at(key);
    std::vector<std::int64_t> numbers;
    bool fits = list.is_array();
    for (std::size_t i = 0; fits && i < list.size(); ++i) {
      fits = within(list[i], low, high);
      if (fits) numbers.push_back(list[i].get<std::int64_t>());
    }
    if (!fits) throw wrong(key, cat("a list of whole numbers between ", low, " and ", high));
    return numbers;
  }

  // A whole number in [low, high], or a list of such.
  std::vector<std::int64_t> integer_or_integers(const char* key, std::vector<std::int64_t> fallback, std::int64_t low,
                                                std::int64_t high) const {
    if (!has(key)) return fallback;
    if (json_.at(key).is_array()) return integers(key, low, high);
    return {integer(key, 0, low, high)};
  }

  // A number in [low, high].
  double number(const char* key, double fallback, double low = -1e12, double high = 1e12) const {
    if (!has(key)) return fallback;
    const nlohmann::json& value = json_.at(key);
    if (!value.is_number()) throw wrong(key, "a number");
    const auto number = value.get<double>();
    if (!(number >= low && number <= high)) throw wrong(key, cat("between ", low, " and ", high));
    return number;
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
    return corrupt_data(cat(where_, ": \"", key, "\" is ", json_text(json_.at(key)).substr(0, 60), ", not ", expected),
                        "compare it with the published config.json of this model");
  }

 private:
  static bool within(const nlohmann::json& value, std::int64_t low, std::int64_t high) {
    if (!value.is_number_integer()) return false;
    // Beyond the largest signed number, which get<std::int64_t>() would turn negative.
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) return false;
    const auto number = value.get<std::int64_t>();
    return number >= low && number <= high;
  }

  const nlohmann::json& json_;
  std::string where_;
};

}  // namespace striate
