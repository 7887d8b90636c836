#include "striate/data/record_reader.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/image/picture_name.h"

namespace striate {
namespace {

using nlohmann::json;

constexpr std::size_t kShownValue = 40;  // bytes of a wrong value in a message
constexpr std::size_t kShownId = 200;    // of an id
constexpr std::size_t kShownKeys = 8;    // names of fields in a message
constexpr std::string_view kMark = "<image>";

constexpr std::string_view kFormHint =
    R"(a sample is {"id", "image", "conversations": [{"from": "human", "value": "..."}, {"from": "gpt", ...}]}, )"
    R"(or {"images", "messages": [{"role": "user", "content": "..."}, {"role": "assistant", ...}]})";
constexpr std::string_view kRepairHint = "repair the sample, or leave it out";

// Where a number or a word that begins at `at` ends.
std::size_t end_of_word(std::string_view text, std::size_t at) {
  const auto goes_on = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '+' || c == '.';
  };
  while (at < text.size() && goes_on(text[at])) ++at;
  return at;
}

// The name under which the digits of a number stand that a machine number would change; see word_of_json().
constexpr const char* kDigits = "";

// A number in JSON's sense whose value would change, or would not fit, as a machine number.
bool is_long_number(std::string_view word) {
  constexpr std::size_t kSafeDigits = 17;
  if (word.find_first_not_of("0123456789+-.eE") != std::string_view::npos) return false;
  if (word.size() <= kSafeDigits && word.find_first_of("eE") == std::string_view::npos) return false;
  double value = 0;
  const auto [end, error] = std::from_chars(word.begin(), word.end(), value);
  return error != std::errc::invalid_argument && end == word.end();
}

// What stands for a word of Python's that JSON lacks: null, or a word of JSON's. A long number becomes an object of its
// digits, so that it is shown as it was written and is never taken for a text. Other words stay.
std::string word_of_json(std::string_view word) {
  if (word == "None" || word == "NaN" || word == "Infinity" || word == "-Infinity") return "null";
  if (word == "True") return "true";
  if (word == "False") return "false";
  return is_long_number(word) ? cat("{\"", kDigits, "\": \"", word, "\"}") : std::string(word);
}

// The digits of a long number; nullopt for any other value.
std::optional<std::string> long_number(const json& value) {
  if (!value.is_object() || value.size() != 1 || !value.contains(kDigits)) return std::nullopt;
  return value.at(kDigits).is_string() ? std::optional(value.at(kDigits).get<std::string>()) : std::nullopt;
}

// `text` with its words as word_of_json() has them. What stands inside strings stays.
std::string as_plain_json(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = in_string ? at : end_of_word(text, at);
    if (end > at) {
      out += word_of_json(text.substr(at, end - at));
      at = end;
      continue;
    }
    if (text[at] == '"') in_string = !in_string;
    if (in_string && text[at] == '\\' && at + 1 < text.size()) out += text[at++];
    out += text[at++];
  }
  return out;
}

std::string description(const json& value) {
  if (const auto digits = long_number(value)) return shortened(*digits, kShownValue);
  if (value.is_string()) return "a string";
  if (value.is_array()) return "a list";
  if (value.is_object()) return "an object";
  return shortened(json_text(value), kShownValue);
}

// Names are made for every turn, and seldom read: cat() would cost more than all the rest.
std::string element(const std::string& list, std::size_t index) {
  return list + "[" + std::to_string(index) + "]";
}

// A field that may hold pictures under a name that is not read.
bool is_like_pictures(std::string_view key) {
  std::string lower(key);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<std::string_view, 6> kWords = {"image", "img", "picture", "photo", "filename", "file_name"};
  return std::ranges::any_of(kWords, [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

// A turn as it is written, before its names are settled.
struct Turn {
  std::optional<std::string> from, role, value, content;
  bool in_parts = false;
  std::vector<std::string> pictures;  // that its parts name
  std::size_t unnamed = 0;            // image parts without a name
};

class RecordReader {
 public:
  explicit RecordReader(const std::string& place) : place_(place) {}

  Record read(std::string_view text) {
    const json sample = parsed(text);
    if (!sample.is_object()) fail(cat("is ", description(sample), ", not an object"));
    for (const auto& [key, value] : sample.items()) read_field(key, value);
    return finish();
  }

 private:
  json parsed(std::string_view text) const {
    try {
      return parse_json(as_plain_json(text), "its JSON", kSampleJson);
    } catch (const Error& error) {
      fail(error.what(), kRepairHint);
    }
  }

  void read_field(const std::string& key, const json& value) {
    if (key == "id") {
      record_.id = read_id(value);
    } else if (key == "image") {
      image_ = read_names(value, key);
    } else if (key == "images") {
      images_ = read_names(value, key);
    } else if (key == "system") {
      system_ = value.is_null() ? std::string() : read_text(value, key);
    } else if (key == "conversations") {
      conversations_ = read_turns(value, key);
    } else if (key == "messages") {
      messages_ = read_turns(value, key);
    } else {
      if (record_.unread_pictures.empty() && is_like_pictures(key)) record_.unread_pictures = key;
      others_.push_back(key);
    }
  }

  // Only shown to people: any value will do.
  std::string read_id(const json& value) const {
    if (value.is_null()) return {};
    if (const auto digits = long_number(value)) return shortened(*digits, kShownId);
    return shortened(value.is_string() ? value.get_ref<const std::string&>() : json_text(value), kShownId);
  }

  std::string read_text(const json& value, const std::string& name) const {
    if (!value.is_string()) fail(cat(name, " is ", description(value), ", not a string"));
    return value.get<std::string>();
  }

  std::vector<std::string> read_names(const json& value, const std::string& name) const {
    if (value.is_null()) return {};
    if (value.is_string()) return {read_text(value, name)};
    if (!value.is_array()) {
      fail(cat("\"", name, "\" is neither a string nor a list of strings but ", description(value)),
           value.is_object() && !long_number(value) ? "write the picture to a file, and give that file's name"
                                                    : kFormHint);
    }
    std::vector<std::string> names;
    for (const json& next : value) names.push_back(read_text(next, element("\"" + name + "\"", names.size())));
    return names;
  }

  std::vector<Turn> read_turns(const json& value, const std::string& name) const {
    if (!value.is_array()) fail(cat("\"", name, "\" is ", description(value), ", not a list"));
    std::vector<Turn> turns;
    for (const json& next : value) turns.push_back(read_turn(next, element(name, turns.size())));
    return turns;
  }

  Turn read_turn(const json& value, const std::string& where) const {
    if (!value.is_object()) fail(cat(where, " is ", description(value), ", not an object"));
    Turn turn;
    for (const auto& [key, item] : value.items()) {
      const std::string name = where + "." + key;
      if (key == "from") turn.from = read_text(item, name);
      if (key == "role") turn.role = read_text(item, name);
      if (key == "value") turn.value = read_content(turn, item, name);
      if (key == "content") turn.content = read_content(turn, item, name);
      if (key == "weight" || key == "tool_calls" || key == "function_call") refuse_meaning(key, item, name);
    }
    if (!turn.from && !turn.role) fail(cat(where, " has neither \"from\" nor \"role\""));
    if (!turn.value && !turn.content) fail(cat(where, " has no \"", turn.from ? "value" : "content", "\""));
    return turn;
  }

  // Fields of a turn that change what should be learned of it.
  void refuse_meaning(const std::string& key, const json& value, const std::string& name) const {
    if (value.is_null() || (key == "weight" && value == 1)) return;
    fail(cat(name, " is ", description(value), ", and Striate does not support \"", key, "\""),
         "every answer is trained on, as text; leave out the field or the sample");
  }

  std::string read_content(Turn& turn, const json& value, const std::string& name) const {
    if (!value.is_array()) return read_text(value, name);
    turn.in_parts = true;
    turn.pictures.clear();
    turn.unnamed = 0;
    std::vector<std::string> pieces;
    for (const json& next : value) pieces.push_back(read_part(turn, next, element(name, pieces.size())));
    return join(pieces, "\n");
  }

  // A part's text; of a picture its mark.
  std::string read_part(Turn& turn, const json& value, const std::string& where) const {
    if (value.is_string()) return read_text(value, where);
    if (!value.is_object()) fail(cat(where, " is ", description(value), ", not an object"));
    std::optional<std::string> type, text, picture;
    for (const auto& [key, item] : value.items()) {
      const std::string name = where + "." + key;
      if (key == "type") type = read_text(item, name);
      if (key == "text" && !item.is_null()) text = read_text(item, name);
      const bool names_picture = key == "image" || key == "image_url" || key == "url" || key == "path";
      if (names_picture && !item.is_null()) picture = read_picture(item, name);
    }
    const std::string kind = type.value_or(text ? "text" : "image");
    if (kind == "text") {
      if (!text) fail(cat(where, " has no \"text\""));
      return *text;
    }
    if (kind != "image" && kind != "image_url") {
      fail(cat(where, " is of type '", shortened(kind, kShownValue), "': only text and images are supported"),
           "leave out the part or the sample");
    }
    if (picture) {
      turn.pictures.push_back(*picture);
    } else {
      ++turn.unnamed;
    }
    return std::string(kMark);
  }

  // "a.jpg", or OpenAI's {"url": "a.jpg"}.
  std::string read_picture(const json& value, const std::string& name) const {
    if (!value.is_object()) return read_text(value, name);
    std::optional<std::string> url;
    for (const auto& [key, item] : value.items()) {
      if (key == "url" || key == "path") url = read_text(item, name + "." + key);
    }
    if (!url) fail(cat(name, " is an object without \"url\""), "give the name of the picture's file");
    return *url;
  }

  Record finish() {
    if (!conversations_ && !messages_) {
      fail(cat("has no \"conversations\" and no \"messages\"",
               others_.empty() ? std::string() : cat("; its fields are ", some_keys())));
    }
    const std::string list = conversations_ ? "conversations" : "messages";
    std::vector<Turn>& turns = conversations_ ? *conversations_ : *messages_;
    std::vector<std::string> named;
    std::size_t unnamed = 0;
    bool in_parts = false;
    for (Turn& turn : turns) {
      named.insert(named.end(), turn.pictures.begin(), turn.pictures.end());
      unnamed += turn.unnamed;
      in_parts = in_parts || turn.in_parts;
      record_.turns.push_back({turn.from ? *turn.from : *turn.role, turn.value ? *turn.value : *turn.content});
    }
    if (!turns.empty()) {
      record_.form = list + (turns[0].from ? " with from and " : " with role and ") +
                     (turns[0].value ? "value" : "content") + (in_parts ? ", in parts" : "");
    }
    settle_pictures(std::move(named), unnamed);
    settle_system();
    return std::move(record_);
  }

  std::string some_keys() const {
    const std::vector<std::string> first(
        others_.begin(), others_.begin() + static_cast<std::ptrdiff_t>(std::min(kShownKeys, others_.size())));
    return cat(shortened(join(first, ", "), 2 * kShownId), others_.size() > kShownKeys ? ", ..." : "");
  }

  // Which of the places that may name pictures does.
  void settle_pictures(std::vector<std::string> named, std::size_t unnamed) {
    if (!image_.empty() && !images_.empty() && image_ != images_) {
      fail("\"image\" and \"images\" name different pictures", "give the pictures in one of the two fields");
    }
    record_.images = image_.empty() ? std::move(images_) : std::move(image_);
    if (named.empty()) return;
    if (unnamed > 0) {
      fail("some image parts name their picture and some do not",
           "name every picture in its part, or all of them in \"images\"");
    }
    if (!record_.images.empty() && record_.images != named) {
      fail("the image parts and \"images\" name different pictures", "name the pictures in one place");
    }
    record_.images = std::move(named);
  }

  void settle_system() {
    if (trim(system_).empty()) return;
    std::vector<Message>& turns = record_.turns;
    if (!turns.empty() && parse_role(turns.front().from) == Role::kSystem) {
      if (turns.front().value != system_) {
        fail("\"system\" and the first turn are different system texts", "give one of the two");
      }
      return;
    }
    turns.insert(turns.begin(), {"system", system_});
  }

  [[noreturn]] void fail(const std::string& what, std::string_view hint = kFormHint) const {
    throw BadSample(BadReason::kBrokenRecord, cat(place_, ": ", what), std::string(hint));
  }

  const std::string& place_;
  Record record_;
  std::vector<std::string> image_, images_;
  std::string system_;
  std::optional<std::vector<Turn>> conversations_, messages_;
  std::vector<std::string> others_;
};

}  // namespace

Record read_record(std::string_view json, const std::string& place) {
  return RecordReader(place).read(json);
}

}  // namespace striate
