// The stages of a tokenizer.json before its model: normalizer and pre-tokenizer.
//
// Each follows the component of the same name in Hugging Face's `tokenizers`. A component Striate does not implement is
// refused by name (Unsupported), never skipped; so are rules that would let a text grow beyond kMostGrowth.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "striate/text/json_fields.h"
#include "striate/text/regex.h"

namespace striate {

// How many times longer than a text normalizer and pre-tokenizer together may make it, or a decoder a token. Llama's
// rules (three bytes for a space, and one more before the text) reach 36.
inline constexpr double kMostGrowth = 64;

// Text after normalisation, and where each of its bytes came from.
struct NormalizedText {
  std::string text;
  // origin[i]: the byte of the original at which text[i] begins; origin[text.size()]: the original's size.
  // Empty when nothing was moved.
  std::vector<std::uint32_t> origin;

  std::size_t original(std::size_t at) const { return origin.empty() ? at : origin[at]; }
};

// Prepend, Replace (of a string), and sequences of them.
class Normalizer {
 public:
  Normalizer() = default;
  static Normalizer from_json(const Json& component, const std::string& where);
  // How many times as long as a text its result may be.
  double growth() const;
  void add_prepend(std::string prefix) { steps_.push_back({true, std::move(prefix), {}}); }
  void add_replace(std::string pattern, std::string content) {
    steps_.push_back({false, std::move(pattern), std::move(content)});
  }

  NormalizedText normalize(std::string_view text) const;
  bool changes_nothing() const { return steps_.empty(); }

 private:
  struct Step {
    bool prepend;
    std::string pattern;  // what to prepend, or to replace
    std::string content;
  };
  std::vector<Step> steps_;
};

// Text cut into the words that the model encodes one by one.
struct PreTokenized {
  NormalizedText text;
  std::vector<std::pair<std::size_t, std::size_t>> words;  // [begin, end) in text.text
};

// Split, ByteLevel, Metaspace, and sequences of them.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  static PreTokenizer from_json(const Json& component, const std::string& where);
  // tiktoken's: the pattern's matches, then bytes.
  static PreTokenizer byte_level_split(const std::string& pattern);

  // How many times as long as a text its words together may be.
  double growth() const;
  // `at_start`: whether the text begins the whole input (what Metaspace's "first" asks).
  PreTokenized split(NormalizedText text, bool at_start) const;
  // Whether words are to be encoded as raw bytes.
  bool byte_level() const { return byte_level_; }
  // The expressions of its Splits, in order.
  std::vector<std::string> split_patterns() const;

 private:
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Split {
    std::string expression;
    std::shared_ptr<const Regex> pattern;
    Behavior behavior;
    bool invert;
  };
  struct Prefix {  // put before a word that does not begin with it
    std::string text;
    bool only_at_start;
  };
  struct SpaceMark {  // what Metaspace writes for a space
    std::string mark;
  };
  using Step = std::variant<Split, Prefix, SpaceMark>;

  void add(const Json& component, const std::string& where);
  void add_split(const Json& component, const std::string& where);
  void add_metaspace(const Json& component, const std::string& where);
  void add_byte_level(const Json& component, const std::string& where);
  struct Cut {  // a match of a Split's pattern, or what lies between two
    std::size_t begin, end;
    bool matched;
  };
  static std::vector<Cut> cut(const Split& split, std::string_view text);
  static bool joins(Behavior behavior, const Cut& before, const Cut& now);
  static PreTokenized apply(const Split& split, PreTokenized tokens);
  static PreTokenized rewrite(const Step& step, bool at_start, const PreTokenized& tokens);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

// Throws Unsupported, naming `where`, for rules that make a text longer than `kMostGrowth` times.
void require_growth(double growth, const std::string& where);

// `text` with every `pattern` replaced by `content`.
std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content);

}  // namespace striate
