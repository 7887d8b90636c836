#include "striate/data/sample_index.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 20;
constexpr std::uint64_t kLongestSample = 16'000'000;  // bytes: what one sample may cost in memory
constexpr std::size_t kDeepest = 256;                 // brackets within brackets of one sample

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Bytes that may stand outside strings, white space and brackets aside: those of JSON, and those of the words that
// other programs write where a value is missing (NaN, None, Infinity). Whether they make sense is seen when a sample is
// read.
bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ',' || c == ':' ||
         c == '-' || c == '+' || c == '.' || c == '_';
}

// Whether one of eight bytes is `c`: the classic test for a zero byte, of the bytes that differ from it.
bool has_byte(std::uint64_t eight, char c) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t other = eight ^ (kOnes * static_cast<unsigned char>(c));
  return ((other - kOnes) & ~other & (kOnes << 7)) != 0;
}

// Bytes inside a string that are not just passed over. Other control characters are wrong there, but shift no border:
// they are found when the sample is read.
constexpr std::array<bool, 256> string_stops() {
  std::array<bool, 256> stops{};
  stops['\0'] = stops['\n'] = stops['"'] = stops['\\'] = true;
  return stops;
}

// A file in another form, told by how it begins.
struct OtherForm {
  std::string_view begins;
  std::string_view name;
  std::string_view program;  // what makes a readable file of it
};

using std::string_view_literals::operator""sv;

constexpr OtherForm kOtherForms[] = {
    {"\xFF\xFE\0\0"sv, "UTF-32", "iconv -f UTF-32 -t UTF-8 FILE > NEW_FILE"},
    {"\0\0\xFE\xFF"sv, "UTF-32", "iconv -f UTF-32 -t UTF-8 FILE > NEW_FILE"},
    {"\xFF\xFE"sv, "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE"},
    {"\xFE\xFF"sv, "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE"},
    {"[\0\0\0"sv, "UTF-32", "iconv -f UTF-32LE -t UTF-8 FILE > NEW_FILE"},
    {"{\0\0\0"sv, "UTF-32", "iconv -f UTF-32LE -t UTF-8 FILE > NEW_FILE"},
    {"\0\0\0["sv, "UTF-32", "iconv -f UTF-32BE -t UTF-8 FILE > NEW_FILE"},
    {"\0\0\0{"sv, "UTF-32", "iconv -f UTF-32BE -t UTF-8 FILE > NEW_FILE"},
    {"[\0"sv, "UTF-16", "iconv -f UTF-16LE -t UTF-8 FILE > NEW_FILE"},
    {"{\0"sv, "UTF-16", "iconv -f UTF-16LE -t UTF-8 FILE > NEW_FILE"},
    {"\0["sv, "UTF-16", "iconv -f UTF-16BE -t UTF-8 FILE > NEW_FILE"},
    {"\0{"sv, "UTF-16", "iconv -f UTF-16BE -t UTF-8 FILE > NEW_FILE"},
    {"\x1F\x8B"sv, "a gzip file", "gunzip FILE"},
    {"PK\x03\x04"sv, "a ZIP archive", "unzip FILE"},
};

const OtherForm* other_form(std::string_view first) {
  const auto found = std::ranges::find_if(kOtherForms, [&](const OtherForm& f) { return first.starts_with(f.begins); });
  return found == std::end(kOtherForms) ? nullptr : found;
}

std::string shown(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte > 0x20 && byte < 0x7F) return cat("'", c, "'");
  return cat("byte ", static_cast<int>(byte));
}

// Follows brackets and strings through the file, block by block.
class Scanner {
 public:
  Scanner(const BlockReader& read, const std::string& where) : read_(read), where_(where), block_(kBlock) {}

  SampleIndex run() {
    while (next_block()) {
      while (at_ < end_) step();
    }
    finish();
    return std::move(index_);
  }

 private:
  enum class State {
    kStart,      // nothing but white space yet
    kElement,    // an element may begin (array)
    kSeparator,  // after an element: ',' or ']'
    kSample,     // inside an element, outside strings
    kString,     // inside a string
    kEscape,     // after a backslash
    kWord,       // inside an element that is a number or a word (array)
    kLine,       // between lines (JSON Lines)
    kRest,       // after a line's object: white space up to the line's end
    kBadLine,    // what is left of a line that is no whole object
    kEnd,        // after the array
  };

  bool next_block() {
    offset_ += end_;
    at_ = 0;
    end_ = read_(block_);
    if (offset_ == 0) look_at_start(std::string_view(block_.data(), end_));
    return end_ > 0;
  }

  void look_at_start(std::string_view first) {
    if (first.starts_with("\xEF\xBB\xBF")) at_ = 3;
    if (const OtherForm* form = other_form(first)) {
      throw corrupt_data(cat(where_, ": the file is ", form->name, ", not UTF-8 text with a JSON array or JSON Lines"),
                         cat("convert it to JSON Lines: ", form->program));
    }
  }

  void step() {
    if (state_ == State::kString) return pass_string();
    const char c = block_[at_];
    if (c == '\n') ++line_;
    if (c != ' ' || state_ != State::kSample) handle(c);  // indented files have many spaces
    ++at_;
  }

  void handle(char c) {
    if (c == '\n' && ends_broken_line()) return end_sample(at_, false);
    switch (state_) {
      case State::kBadLine:
        return;
      case State::kEscape:
        if (c != '\n' && c != '\0') {
          state_ = State::kString;
          return;
        }
        line_ -= c == '\n' ? 1 : 0;
        return broken_string(c);
      case State::kSample:
        return inside(c);
      case State::kWord:
        if (c != ',' && c != ']' && !is_space(c)) return;
        end_sample(at_, false);
        break;
      case State::kRest:
        if (c == '\n') state_ = State::kLine;
        break;
      default:
        break;
    }
    if (!is_space(c)) between(c);
  }

  // Whether a line's end comes inside an object whose line alone is bad.
  bool ends_broken_line() const {
    return spares_others() && (state_ == State::kBadLine || state_ == State::kSample || state_ == State::kEscape);
  }

  // Whether what is wrong here is one sample's own matter: a line that is not the first.
  bool spares_others() const { return index_.layout == DataLayout::kLines && !index_.samples.empty(); }

  // Outside every element.
  void between(char c) {
    if (state_ == State::kStart) {
      index_.layout = c == '[' ? DataLayout::kArray : DataLayout::kLines;
      if (c == '[') {
        state_ = State::kElement;
        return;
      }
      if (c != '{') {
        fail(cat("begins with ", shown(c), ": neither a JSON array of samples nor JSON Lines"),
             "give [{...}, {...}] or one {...} per line");
      }
      return begin_sample();
    }
    const bool may_begin = state_ == State::kLine || state_ == State::kElement;
    if (may_begin && c == '{') return begin_sample();
    if (may_begin && !index_.samples.empty() && c != ',' && c != ']') return begin_other(c);
    if (c == ',' && state_ == State::kSeparator) {
      state_ = State::kElement;
      after_comma_ = true;
      return;
    }
    if (c == ']' && (state_ == State::kSeparator || (state_ == State::kElement && !after_comma_))) {
      state_ = State::kEnd;
      return;
    }
    if (state_ == State::kRest && index_.samples.size() > 1) return take_back();
    misplaced(c);
  }

  // What stands in a sample's place and is no object.
  void begin_other(char c) {
    begin_sample();
    open_.clear();
    if (index_.layout == DataLayout::kLines) {
      state_ = State::kBadLine;
    } else if (c == '"') {
      state_ = State::kString;
    } else if (c == '[') {
      open_.assign(1, ']');
    } else {
      state_ = State::kWord;
    }
  }

  // More stands on the line of the last sample: the whole line is one bad sample.
  void take_back() {
    begin_ = index_.samples.back().begin;
    begin_line_ = index_.samples.back().line;
    index_.samples.pop_back();
    state_ = State::kBadLine;
  }

  [[noreturn]] void misplaced(char c) {
    const std::string number = cat("sample ", index_.samples.size());
    switch (state_) {
      case State::kElement:
      case State::kLine:
        fail(cat(number, " begins with ", shown(c), " instead of '{'"), "every sample is a JSON object {...}");
      case State::kSeparator:
        fail(cat(shown(c), " after sample ", index_.samples.size() - 1, " instead of ',' or ']'"),
             "separate the samples of an array with commas");
      case State::kRest:
        fail(cat(shown(c), " after sample ", index_.samples.size() - 1, " on its line"),
             "JSON Lines have one object on each line; an array begins with '['");
      default:
        fail(cat(shown(c), " after the array's end"), "nothing may follow the closing ']'");
    }
  }

  void begin_sample() {
    begin_ = offset_ + at_;
    begin_line_ = line_;
    open_.assign(1, '}');
    state_ = State::kSample;
  }

  void inside(char c) {
    if (c == '"') {
      state_ = State::kString;
    } else if (c == '{' || c == '[') {
      if (open_.size() == kDeepest)
        return broken(cat("more than ", kDeepest, " nested brackets"), "this is not LLaVA data");
      open_.push_back(c == '{' ? '}' : ']');
    } else if (c == '}' || c == ']') {
      if (open_.back() != c)
        return broken(cat(shown(c), " where ", shown(open_.back()), " was expected"), "repair the JSON here");
      open_.pop_back();
      if (open_.empty()) end_sample(at_ + 1, c == '}');
    } else if (c == '\n' && index_.layout == DataLayout::kLines) {
      --line_;
      broken(cat("the line ends inside sample ", index_.samples.size()),
             "JSON Lines have one whole object on each line; an array begins with '['");
    } else if (!is_space(c) && !is_plain(c)) {
      broken(cat(shown(c), " outside a string"),
             c == '\'' ? "JSON needs double quotation marks: json.dump writes them"
                       : "repair the JSON here: a quotation mark may be missing before it");
    }
  }

  // `end` is the byte after it, in the block.
  void end_sample(std::size_t end, bool is_whole) {
    const std::uint64_t length = offset_ + end - begin_;
    if (length > kLongestSample) {
      fail(cat("sample ", index_.samples.size(), " has ", human_bytes(length)),
           cat("a sample may have ", human_bytes(kLongestSample)));
    }
    index_.samples.push_back({begin_, static_cast<std::uint32_t>(length), is_whole ? 1U : 0U, begin_line_});
    const bool is_line = index_.layout == DataLayout::kLines;
    state_ = !is_line ? State::kSeparator : is_whole ? State::kRest : State::kLine;
  }

  void pass_string() {
    static constexpr std::array<bool, 256> kStops = string_stops();
    const char* at = block_.data() + at_;
    const char* const end = block_.data() + end_;
    for (std::uint64_t eight = 0; end - at >= 8; at += 8) {
      std::memcpy(&eight, at, sizeof eight);
      if (has_byte(eight, '"') || has_byte(eight, '\\') || has_byte(eight, '\n') || has_byte(eight, '\0')) break;
    }
    while (at < end && !kStops[static_cast<unsigned char>(*at)]) ++at;
    at_ = static_cast<std::size_t>(at - block_.data());
    if (at_ == end_) return;
    if (*at == '"') {
      state_ = State::kSample;
      if (open_.empty()) end_sample(at_ + 1, false);
    } else if (*at == '\\') {
      state_ = State::kEscape;
    } else if (*at == '\n' && spares_others()) {
      end_sample(at_, false);
      ++line_;
    } else {
      broken_string(*at);
    }
    ++at_;
  }

  void broken_string(char c) {
    if (c == '\n') return broken("the line ends inside a string", "close the string, or write a line break as \\n");
    broken(cat(shown(c), " inside a string"), "control characters are written \\uXXXX in JSON");
  }

  // The sample here is broken, and where it ends is not known but by its line.
  void broken(const std::string& what, const std::string& hint) {
    if (!spares_others()) fail(what, hint);
    state_ = State::kBadLine;
  }

  [[noreturn]] void fail(const std::string& what, const std::string& hint) {
    throw corrupt_data(cat(where_, ": line ", line_, " (byte ", offset_ + at_, "): ", what), hint);
  }

  void finish() {
    const std::size_t count = index_.samples.size();
    switch (state_) {
      case State::kEnd:
      case State::kRest:
      case State::kLine:
        return;
      case State::kBadLine:
        return end_sample(0, false);
      case State::kStart:
        throw corrupt_data(cat(where_, ": empty"), "give a JSON array of samples, or JSON Lines");
      case State::kElement:
      case State::kSeparator:
        throw corrupt_data(cat(where_, ": ends after ", count, " samples without a closing ']'"),
                           "the file is incomplete: download it again");
      default:
        throw corrupt_data(
            cat(where_, ": ends inside sample ", count, ", which begins on line ", begin_line_, " (byte ", begin_, ")"),
            "the file is incomplete: download it again");
    }
  }

  const BlockReader& read_;
  const std::string& where_;
  std::vector<char> block_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::uint64_t offset_ = 0;  // of the block
  State state_ = State::kStart;
  bool after_comma_ = false;
  std::string open_;  // the closing brackets awaited
  std::uint64_t begin_ = 0;
  std::uint32_t line_ = 1;
  std::uint32_t begin_line_ = 1;
  SampleIndex index_;
};

}  // namespace

SampleIndex index_samples(const BlockReader& read, const std::string& where) {
  SampleIndex index = Scanner(read, where).run();
  index.samples.shrink_to_fit();
  return index;
}

}  // namespace striate
