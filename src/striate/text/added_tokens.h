// Added tokens: strings that are one token each, found in the text before anything else looks at it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace striate {

// Hugging Face's AddedToken.
struct AddedToken {
  std::int64_t id = -1;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space after it along
  bool normalized = false;   // looked for in the normalised text (as its own normalised form)
  bool special = false;      // left out by decode(skip_special)
};

// Finds the leftmost, then longest, of a set of strings. Immutable after construction.
class StringMatcher {
 public:
  // Empty strings are ignored. `index` of a match is the position in `patterns`.
  explicit StringMatcher(const std::vector<std::string>& patterns);

  struct Match {
    std::size_t begin;
    std::size_t end;
    std::size_t index;
  };
  // All matches, left to right, not overlapping.
  std::vector<Match> find_all(std::string_view text) const;

 private:
  struct Node {
    std::map<unsigned char, std::size_t> next;
    std::optional<std::size_t> index;
  };
  std::optional<Match> match_at(std::string_view text, std::size_t at) const;

  std::vector<Node> nodes_;
  bool first_[256] = {};
};

// A stretch of text: a token's own, or what lies between tokens.
struct TextPart {
  std::size_t begin;
  std::size_t end;
  const AddedToken* token;  // null: ordinary text
};

// Throws CorruptData, naming `where`, when their texts are more than 4 MB in all: each byte of them costs a hundred.
void require_short_tokens(const std::vector<AddedToken>& tokens, const std::string& where);

// Cuts text at added tokens as the `tokenizers` library does (added_vocabulary.rs): single_word, lstrip, rstrip.
// `patterns[i]` is how tokens[i] looks in this text. `with_special` false leaves special tokens in the text as text.
// The tokens must outlive the splitter.
class AddedTokenSplitter {
 public:
  AddedTokenSplitter(std::vector<const AddedToken*> tokens, const std::vector<std::string>& patterns);
  std::vector<TextPart> split(std::string_view text, bool with_special) const;

 private:
  std::vector<const AddedToken*> tokens_;
  StringMatcher matcher_;
};

}  // namespace striate
