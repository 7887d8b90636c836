#include "striate/base/json_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

using nlohmann::json;

constexpr const char* kDamagedHint = "the file is damaged or incomplete: download it again, or correct it";
constexpr int kNumberOutOfRange = 406;  // nlohmann's number of that error

// "FILE:3:14", the place of the byte `position`; columns count characters.
std::string place(std::string_view text, std::size_t position, const std::string& where) {
  const std::string_view before = text.substr(0, std::min(position, text.size()));
  const std::size_t last_break = before.rfind('\n');
  const std::string_view line = last_break == std::string_view::npos ? before : before.substr(last_break + 1);
  const auto starts_character = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; };
  return cat(where, ":", 1 + std::count(before.begin(), before.end(), '\n'), ":",
             1 + std::count_if(line.begin(), line.end(), starts_character));
}

// The error for text that the parser stopped at: `position` bytes were read, `token` last of them, perhaps inside a
// string.
Error syntax_error(std::string_view text, std::size_t position, const std::string& token, bool out_of_range,
                   bool in_string, const std::string& where) {
  if (trim(text).empty()) return corrupt_data(cat(where, ": empty, not JSON"), kDamagedHint);
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    return corrupt_data(cat(where, ": UTF-16 text, not UTF-8"), "save it as UTF-8");
  }
  if (out_of_range) {
    const std::string shown = token.size() > 40 ? token.substr(0, 40) + "..." : token;
    return corrupt_data(
        cat(place(text, position - std::min(position, token.size()), where), ": the number ", shown, " is too large"),
        "numbers go up to 1.8e308: correct the value");
  }
  const std::size_t at = position > 0 ? position - 1 : 0;
  const std::string here = place(text, at, where);
  if (at >= text.size()) return corrupt_data(cat(here, ": not valid JSON: it ends too soon"), kDamagedHint);
  const std::string_view rest = text.substr(at);
  for (const std::string_view word : {"NaN", "Infinity"}) {
    if (rest.starts_with(word)) {
      return corrupt_data(cat(here, ": not valid JSON: ", word, " is not a number"), "write a number, or null");
    }
  }
  if (in_string && static_cast<unsigned char>(rest.front()) < 0x20) {
    return corrupt_data(cat(here, ": not valid JSON: a control character inside a string"),
                        "write it as an escape, such as \\n");
  }
  if (!is_valid_utf8(text)) return corrupt_data(cat(here, ": not valid JSON: not UTF-8"), "save the file as UTF-8");
  return corrupt_data(cat(here, ": not valid JSON"), kDamagedHint);
}

// Builds the document from the parser's events and stops at the first limit.
class Builder {
 public:
  Builder(std::string_view text, const std::string& where, const JsonLimits& limits)
      : text_(text), where_(where), limits_(limits) {}

  json take() { return std::move(root_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(json::binary_t&) { return false; }  // JSON text has none

  bool start_object(std::size_t) { return open(json::object()); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    const auto [entry, fresh] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!fresh && !limits_.repeated_keys) {
      throw corrupt_data(cat(where_, ": the key \"", name.substr(0, 100), "\" occurs twice in one object"),
                         "keep one of them");
    }
    slot_ = &entry->second;
    return true;
  }

  [[noreturn]] bool parse_error(std::size_t position, const std::string& token, const json::exception& error) {
    throw syntax_error(text_, position, token, error.id == kNumberOutOfRange, token.starts_with('"'), where_);
  }

 private:
  json& place_value(json&& value) {
    if (++values_ > limits_.values) {
      throw corrupt_data(cat(where_, ": holds more than ", limits_.values, " values, too many for this kind of file"),
                         "check that it is the right file");
    }
    if (open_.empty()) return root_ = std::move(value);
    if (open_.back()->is_object()) return *slot_ = std::move(value);
    return open_.back()->get_ref<json::array_t&>().emplace_back(std::move(value));
  }

  bool add(json&& value) {
    place_value(std::move(value));
    return true;
  }

  bool open(json&& container) {
    if (open_.size() >= limits_.depth) {
      throw corrupt_data(cat(where_, ": lists and objects are nested more than ", limits_.depth, " deep"),
                         "check that it is the right file");
    }
    open_.push_back(&place_value(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  const std::string& where_;
  const JsonLimits& limits_;
  json root_;
  std::vector<json*> open_;  // the containers being filled, outermost first; a parent does not grow under its child
  json* slot_ = nullptr;     // the value of the key just read
  std::size_t values_ = 0;
};

}  // namespace

json parse_json(std::string_view text, const std::string& where, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw corrupt_data(cat(where, ": ", human_bytes(text.size()), " of JSON, more than the ", human_bytes(limits.bytes),
                           " that Striate reads"),
                       "check that it is the right file");
  }
  Builder builder(text, where, limits);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

std::optional<json> try_parse_json(std::string_view text, const JsonLimits& limits) {
  try {
    return parse_json(text, {}, limits);
  } catch (const Error&) {
    return std::nullopt;
  }
}

json read_json_file(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_file(path, limits.bytes), path.string(), limits);
}

std::string json_text(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace striate
