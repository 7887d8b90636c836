#include "striate/data/sample_index.h"

#include <algorithm>
#include <array>
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

// Bytes that may stand outside strings of a JSON document, white space and brackets aside.
bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == ',' || c == ':' || c == '-' || c == '+' || c == '.' ||
         c == 'E';
}

// Bytes inside a string that are not just passed over.
constexpr std::array<bool, 256> string_stops() {
  std::array<bool, 256> stops{};
  for (std::size_t c = 0; c < 0x20; ++c) stops[c] = true;
  stops['"'] = stops['\\'] = true;
  return stops;
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
    kLine,       // between lines (JSON Lines)
    kRest,       // after a line's object: white space up to the line's end
    kEnd,        // after the array
  };

  bool next_block() {
    offset_ += end_;
    at_ = 0;
    end_ = read_(block_);
    if (offset_ == 0 && std::string_view(block_.data(), end_).starts_with("\xEF\xBB\xBF")) at_ = 3;
    return end_ > 0;
  }

  void step() {
    if (state_ == State::kString) return pass_string();
    const char c = block_[at_];
    if (c == '\n') ++line_;
    handle(c);
    ++at_;
  }

  void handle(char c) {
    switch (state_) {
      case State::kEscape:
        if (static_cast<unsigned char>(c) < 0x20) {
          line_ -= c == '\n' ? 1 : 0;
          fail_in_string(c);
        }
        state_ = State::kString;
        return;
      case State::kSample:
        return inside(c);
      case State::kRest:
        if (c == '\n') state_ = State::kLine;
        break;
      default:
        break;
    }
    if (!is_space(c)) between(c);
  }

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
             "give [{...}, {...}] or one {...} a line");
      }
      return begin_sample();
    }
    const bool may_begin = state_ == State::kLine || state_ == State::kElement;
    if (may_begin && c == '{') return begin_sample();
    if (c == ',' && state_ == State::kSeparator) {
      state_ = State::kElement;
      after_comma_ = true;
      return;
    }
    if (c == ']' && (state_ == State::kSeparator || (state_ == State::kElement && !after_comma_))) {
      state_ = State::kEnd;
      return;
    }
    misplaced(c);
  }

  [[noreturn]] void misplaced(char c) {
    const std::string number = cat("sample ", index_.samples.size());
    switch (state_) {
      case State::kElement:
      case State::kLine:
        fail(cat(number, " begins with ", shown(c), " instead of '{'"), "every sample is a JSON object {...}");
      case State::kSeparator:
        fail(cat(shown(c), " after sample ", index_.samples.size() - 1, " instead of ',' or ']'"),
             "samples of an array are separated by commas");
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
      if (open_.size() == kDeepest) fail(cat(kDeepest, " brackets within brackets"), "this is no LLaVA data");
      open_.push_back(c == '{' ? '}' : ']');
    } else if (c == '}' || c == ']') {
      if (open_.back() != c)
        fail(cat(shown(c), " where ", shown(open_.back()), " was expected"), "repair the JSON here");
      open_.pop_back();
      if (open_.empty()) end_sample();
    } else if (c == '\n' && index_.layout == DataLayout::kLines) {
      --line_;
      fail(cat("the line ends inside sample ", index_.samples.size()),
           "JSON Lines have one whole object on each line; an array begins with '['");
    } else if (!is_space(c) && !is_plain(c)) {
      fail(cat(shown(c), " outside a string"), "repair the JSON here: a quotation mark may be missing before it");
    }
  }

  void end_sample() {
    const std::uint64_t length = offset_ + at_ + 1 - begin_;
    if (length > kLongestSample) {
      fail(cat("sample ", index_.samples.size(), " has ", human_bytes(length)),
           cat("a sample may have ", human_bytes(kLongestSample)));
    }
    index_.samples.push_back({begin_, static_cast<std::uint32_t>(length), begin_line_});
    state_ = index_.layout == DataLayout::kLines ? State::kRest : State::kSeparator;
  }

  void pass_string() {
    static constexpr std::array<bool, 256> kStops = string_stops();
    const char* at = block_.data() + at_;
    const char* const end = block_.data() + end_;
    while (at < end && !kStops[static_cast<unsigned char>(*at)]) ++at;
    at_ = static_cast<std::size_t>(at - block_.data());
    if (at_ == end_) return;
    if (*at == '"') {
      state_ = State::kSample;
    } else if (*at == '\\') {
      state_ = State::kEscape;
    } else {
      fail_in_string(*at);
    }
    ++at_;
  }

  [[noreturn]] void fail_in_string(char c) {
    if (c == '\n') fail("the line ends inside a string", "close the string, or write a line break as \\n");
    fail(cat(shown(c), " inside a string"), "control characters are written \\uXXXX in JSON");
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
      case State::kStart:
        throw corrupt_data(cat(where_, ": empty"), "give a JSON array of samples, or JSON Lines");
      case State::kElement:
      case State::kSeparator:
        throw corrupt_data(cat(where_, ": ends after ", count, " samples without a closing ']'"),
                           "the file was cut off: fetch it again");
      default:
        throw corrupt_data(
            cat(where_, ": ends inside sample ", count, ", which begins on line ", begin_line_, " (byte ", begin_, ")"),
            "the file was cut off: fetch it again");
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
