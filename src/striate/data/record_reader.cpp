#include "striate/data/record_reader.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>

#include "striate/base/strings.h"
#include "striate/image/picture_name.h"

namespace striate {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::size_t kShownValue = 40;  // bytes of a wrong value in a message
constexpr std::size_t kShownId = 200;    // of an id
constexpr std::size_t kShownKeys = 8;    // names of fields in a message
constexpr std::string_view kMark = "<image>";

constexpr std::string_view kFormHint =
    R"(a sample is {"id", "image", "conversations": [{"from": "human", "value": "..."}, {"from": "gpt", ...}]}, )"
    R"(or {"images", "messages": [{"role": "user", "content": "..."}, {"role": "assistant", ...}]})";
constexpr std::string_view kRepairHint = "repair the sample, or leave it out";

// What simdjson's errors mean.
std::string words_of(simdjson::error_code error) {
  switch (error) {
    case simdjson::UTF8_ERROR:
      return "not UTF-8";
    case simdjson::UNESCAPED_CHARS:
      return "not JSON: a control character inside a string";
    case simdjson::STRING_ERROR:
      return "not JSON: a string with an invalid escape";
    case simdjson::UNCLOSED_STRING:
      return "not JSON: a string that is not closed";
    default:
      return "not JSON: a comma, a colon or a value is missing or misplaced";
  }
}

// How a value begins: '"', '[', '{', or the whole of a number or a word.
std::string_view token_of(ondemand::value value) {
  return trim(value.raw_json_token());
}

// Python's None and a missing cell of a table stand for null.
bool is_nothing(std::string_view token) {
  return token == "null" || token == "None" || token == "NaN";
}

std::string description(std::string_view token) {
  switch (token.empty() ? '\0' : token.front()) {
    case '"':
      return "a string";
    case '[':
      return "a list";
    case '{':
      return "an object";
    default:
      return shortened(token, kShownValue);
  }
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

  Record read(const simdjson::padded_string& json) {
    ondemand::parser parser;
    ondemand::document document = must(parser.iterate(json));
    // As in Python's json, the last of several fields of one name counts.
    for (auto next : must(document.get_object())) {
      ondemand::field field = must(std::move(next));
      const std::string key(must(field.unescaped_key()));
      read_field(key, field.value());
    }
    return finish();
  }

 private:
  void read_field(const std::string& key, ondemand::value value) {
    if (key == "id") {
      record_.id = read_id(value);
    } else if (key == "image") {
      image_ = read_names(value, key);
    } else if (key == "images") {
      images_ = read_names(value, key);
    } else if (key == "system") {
      system_ = is_nothing(token_of(value)) ? std::string() : read_text(value, key);
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
  std::string read_id(ondemand::value value) const {
    const std::string_view token = token_of(value);
    if (is_nothing(token)) return {};
    if (token.starts_with('"')) return shortened(text_of(value), kShownId);
    if (token.starts_with('[') || token.starts_with('{'))
      return shortened(must(simdjson::to_json_string(value)), kShownId);
    return shortened(token, kShownId);
  }

  std::string read_text(ondemand::value value, const std::string& name) const {
    const std::string_view token = token_of(value);
    if (!token.starts_with('"')) fail(cat(name, " is ", description(token), ", not a string"));
    return text_of(value);
  }

  // Of a value that begins with '"'.
  std::string text_of(ondemand::value value) const {
    const std::string_view token = token_of(value);
    // Most strings have no escapes and are what stands between the quotes.
    const bool is_plain = token.size() >= 2 && token.back() == '"' && token.find('\\') == std::string_view::npos;
    return std::string(is_plain ? token.substr(1, token.size() - 2) : must(value.get_string()));
  }

  std::vector<std::string> read_names(ondemand::value value, const std::string& name) const {
    const std::string_view token = token_of(value);
    if (is_nothing(token)) return {};
    if (token.starts_with('"')) return {read_text(value, name)};
    if (!token.starts_with('[')) {
      fail(cat("\"", name, "\" is neither a string nor a list of strings but ", description(token)),
           token.starts_with('{') ? "write the picture to a file, and give that file's name" : kFormHint);
    }
    std::vector<std::string> names;
    for (auto next : must(value.get_array())) {
      names.push_back(read_text(must(std::move(next)), element("\"" + name + "\"", names.size())));
    }
    return names;
  }

  std::vector<Turn> read_turns(ondemand::value value, const std::string& name) const {
    const std::string_view token = token_of(value);
    if (!token.starts_with('[')) fail(cat("\"", name, "\" is ", description(token), ", not a list"));
    std::vector<Turn> turns;
    for (auto next : must(value.get_array())) {
      turns.push_back(read_turn(must(std::move(next)), element(name, turns.size())));
    }
    return turns;
  }

  Turn read_turn(ondemand::value value, const std::string& where) const {
    const std::string_view token = token_of(value);
    if (!token.starts_with('{')) fail(cat(where, " is ", description(token), ", not an object"));
    Turn turn;
    for (auto next : must(value.get_object())) {
      ondemand::field field = must(std::move(next));
      const std::string key(must(field.unescaped_key()));
      ondemand::value item = field.value();
      const std::string name = where + "." + key;
      if (key == "from") turn.from = read_text(item, name);
      if (key == "role") turn.role = read_text(item, name);
      if (key == "value") turn.value = read_content(turn, item, name);
      if (key == "content") turn.content = read_content(turn, item, name);
      if (key == "weight" || key == "tool_calls" || key == "function_call") refuse_meaning(key, token_of(item), name);
    }
    if (!turn.from && !turn.role) fail(cat(where, " has neither \"from\" nor \"role\""));
    if (!turn.value && !turn.content) fail(cat(where, " has no \"", turn.from ? "value" : "content", "\""));
    return turn;
  }

  // Fields of a turn that change what should be learned of it.
  void refuse_meaning(const std::string& key, std::string_view token, const std::string& name) const {
    if (is_nothing(token) || (key == "weight" && (token == "1" || token == "1.0"))) return;
    fail(cat(name, " is ", description(token), ", and Striate does not support \"", key, "\""),
         "every answer is trained on, as text; leave out the field or the sample");
  }

  std::string read_content(Turn& turn, ondemand::value value, const std::string& name) const {
    if (!token_of(value).starts_with('[')) return read_text(value, name);
    turn.in_parts = true;
    turn.pictures.clear();
    turn.unnamed = 0;
    std::vector<std::string> pieces;
    for (auto next : must(value.get_array())) {
      pieces.push_back(read_part(turn, must(std::move(next)), element(name, pieces.size())));
    }
    return join(pieces, "\n");
  }

  // A part's text; of a picture its mark.
  std::string read_part(Turn& turn, ondemand::value value, const std::string& where) const {
    const std::string_view token = token_of(value);
    if (token.starts_with('"')) return read_text(value, where);
    if (!token.starts_with('{')) fail(cat(where, " is ", description(token), ", not an object"));
    std::optional<std::string> type, text, picture;
    for (auto next : must(value.get_object())) {
      ondemand::field field = must(std::move(next));
      const std::string key(must(field.unescaped_key()));
      ondemand::value item = field.value();
      const std::string name = where + "." + key;
      if (key == "type") type = read_text(item, name);
      if (key == "text" && !is_nothing(token_of(item))) text = read_text(item, name);
      const bool names_picture = key == "image" || key == "image_url" || key == "url" || key == "path";
      if (names_picture && !is_nothing(token_of(item))) picture = read_picture(item, name);
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
  std::string read_picture(ondemand::value value, const std::string& name) const {
    if (!token_of(value).starts_with('{')) return read_text(value, name);
    std::optional<std::string> url;
    for (auto next : must(value.get_object())) {
      ondemand::field field = must(std::move(next));
      const std::string key(must(field.unescaped_key()));
      ondemand::value item = field.value();
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

  template <typename Value>
  Value must(simdjson::simdjson_result<Value>&& result) const {
    Value value;
    if (const auto error = std::move(result).get(value); error != simdjson::SUCCESS) fail(words_of(error), kRepairHint);
    return value;
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

Record read_record(const simdjson::padded_string& json, const std::string& place) {
  return RecordReader(place).read(json);
}

}  // namespace striate
