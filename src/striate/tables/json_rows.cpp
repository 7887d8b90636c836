#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/tables/formats.h"

namespace striate {
namespace {

constexpr std::string_view kJsonSpace = " \t\r\n";
constexpr const char* kJsonHint = "repair the file, or get it anew from its publisher";

// A JSON text whose values are passed over, not parsed: strings and brackets are enough to find where each ends.
class JsonText {
 public:
  JsonText(std::string name, std::string_view text) : name_(std::move(name)), text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }

  const std::string& name() const { return name_; }
  std::size_t at() const { return at_; }
  void go_to(std::size_t at) { at_ = at; }

  // The next character that is not white space; '\0' at the end.
  char peek() {
    at_ = std::min(text_.find_first_not_of(kJsonSpace, at_), text_.size());
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char expected) {
    if (peek() != expected) return false;
    ++at_;
    return true;
  }
  void require(char expected) {
    if (!take(expected)) fail(cat("'", expected, "' is missing"));
  }

  // The text of the value that begins here.
  std::string_view value() {
    const char first = peek();
    const std::size_t from = at_;
    if (first == '\0' || first == ',' || first == ']' || first == '}') fail("a value is missing");
    if (first == '"') {
      pass_string();
    } else if (first == '[' || first == '{') {
      pass_brackets();
    } else {
      at_ = std::min(text_.find_first_of(" \t\r\n,]}:", at_), text_.size());
    }
    return text_.substr(from, at_ - from);
  }

  std::string place() const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    return cat(name_, ":", line);
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw corrupt_data(cat(place(), ": not JSON: ", what), kJsonHint);
  }

 private:
  void pass_string() {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '"') {
        ++at_;
        return;
      }
    }
    at_ = text_.size();
    fail("a string does not end");
  }

  void pass_brackets() {
    std::size_t depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        pass_string();
        continue;
      }
      if (c == '[' || c == '{') ++depth;
      if (c == ']' || c == '}') --depth;
      ++at_;
      if (depth == 0) return;
    }
    fail("the file ends inside a value");
  }

  std::string name_;
  std::string_view text_;
  std::size_t at_ = 0;
};

// The value of one row. Throws BadRow where it is not JSON: where it ends is known all the same.
nlohmann::json row_value(std::string_view text, const std::string& place) {
  try {
    return parse_json(text, place, kLineJson);
  } catch (const Error& error) {
    throw BadRow(place, error.what(), error.hint().empty() ? kJsonHint : error.hint());
  }
}

std::string member_name(JsonText& text) {
  if (text.peek() != '"') text.fail("the name of a member is missing");
  const std::string place = text.place();
  std::string name = parse_json(text.value(), place, kLineJson).get<std::string>();
  text.require(':');
  return name;
}

// Elements of an array or members of an object, which begins at the text's place.
class JsonElements : public RowReader {
 public:
  JsonElements(std::shared_ptr<const MappedFile> file, JsonText text) : file_(std::move(file)), text_(std::move(text)) {
    close_ = text_.peek() == '[' ? ']' : '}';
    text_.go_to(text_.at() + 1);
  }

 private:
  std::optional<Row> read() override {
    if (done_ || text_.peek() == close_) {
      done_ = true;
      return std::nullopt;
    }
    if (count_ > 0) text_.require(',');
    Row row;
    row.place = cat(text_.name(), ", element ", ++count_);
    if (close_ == '}') {
      row.key = member_name(text_);
      row.place = cat(text_.name(), ", \"", row.key, "\"");
    }
    const std::string_view value = text_.value();
    row.fields = row_value(value, row.place);
    return row;
  }

  std::shared_ptr<const MappedFile> file_;
  JsonText text_;
  char close_;
  bool done_ = false;
  std::size_t count_ = 0;
};

class JsonLines : public RowReader {
 public:
  JsonLines(std::shared_ptr<const MappedFile> file, std::string name, std::string_view text)
      : file_(std::move(file)), name_(std::move(name)), text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

 private:
  std::optional<Row> read() override {
    while (!text_.empty()) {
      ++line_;
      const std::size_t end = std::min(text_.find('\n'), text_.size());
      const std::string_view line = trim(text_.substr(0, end));
      text_.remove_prefix(std::min(end + 1, text_.size()));
      if (line.empty()) continue;
      Row row;
      row.place = cat(name_, ":", line_);
      row.fields = row_value(line, row.place);
      return row;
    }
    return std::nullopt;
  }

  std::shared_ptr<const MappedFile> file_;
  std::string name_;
  std::string_view text_;
  std::size_t line_ = 0;
};

// Whether the first value is followed by another: then each line is a row. A first line that is no JSON counts as one
// that is, so that its fault is named by line.
bool is_json_lines(JsonText text, bool named_so) {
  if (named_so) return true;
  if (text.peek() != '{') return false;
  text.value();
  return text.peek() != '\0';
}

// Puts the text at the array in `member`; false where the object has no such member.
bool find_member(JsonText& text, std::string_view member) {
  const std::size_t begin = text.at();
  text.require('{');
  while (text.peek() != '}') {
    const std::string name = member_name(text);
    if (name == member && (text.peek() == '[' || text.peek() == '{')) return true;
    text.value();
    if (!text.take(',')) break;
  }
  text.go_to(begin);
  return false;
}

}  // namespace

std::unique_ptr<RowReader> open_json_rows(const std::filesystem::path& path, std::string_view member) {
  const std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  const std::string_view all(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  JsonText text(path.string(), all);
  const char first = text.peek();
  if (is_json_lines(text, path.extension() == ".jsonl" && first != '[')) {
    return std::make_unique<JsonLines>(file, path.string(), all);
  }
  if (first != '[' && first != '{') text.fail("neither a list nor an object");
  if (first == '{' && !member.empty()) find_member(text, member);
  return std::make_unique<JsonElements>(file, std::move(text));
}

}  // namespace striate
