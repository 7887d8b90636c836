// Byte-pair encoding: a word to symbols, by merging the neighbouring pair of lowest rank until none is left.
//
// Follows the BPE model of Hugging Face's `tokenizers` (models/bpe), to which tiktoken's rank files and sentencepiece's
// score-ordered merges reduce. O(n log n) in the length of the word.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace striate {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581, what sentencepiece writes for a space

// A token of a word and how many bytes of the word it covers.
struct BpeSymbol {
  std::int32_t id;
  std::uint32_t size;
};

// The vocabulary, looked up without copying the key.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Vocabulary = std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>>;

// Two tokens that become one; lower ranks merge first.
struct BpeMerge {
  std::int32_t left;
  std::int32_t right;
  std::int32_t merged;
  std::int32_t rank;
};

struct BpeOptions {
  bool byte_level = false;     // words are raw bytes; the vocabulary writes them in GPT-2's printable alphabet
  bool byte_fallback = false;  // an unknown character becomes its <0xXX> bytes, where the vocabulary has them
  bool fuse_unk = false;       // unknown characters in a row become one unknown token
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
  std::optional<std::int32_t> unk;
};

// GPT-2's printable alphabet: the character of each byte, and back. -1: not a byte.
std::string byte_level_character(unsigned char byte);
int byte_level_byte(char32_t code);

// Immutable after construction.
class BpeModel {
 public:
  BpeModel(Vocabulary vocabulary, const std::vector<BpeMerge>& merges, const BpeOptions& options);

  // Appends the word's tokens. The sizes add up to word.size(), save for characters that the model drops because it
  // has neither bytes nor an unknown token for them.
  void encode(std::string_view word, std::vector<BpeSymbol>& symbols) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  // Each pair once, best first; of equal ranks, by the ids of left and right.
  std::vector<BpeMerge> merges() const;

 private:
  // (left, right) to (rank, merged), open addressing.
  class PairTable {
   public:
    explicit PairTable(const std::vector<BpeMerge>& merges);
    struct Entry {
      std::uint64_t key;
      std::int32_t rank;
      std::int32_t merged;
    };
    const Entry* find(std::int32_t left, std::int32_t right) const;
    std::vector<BpeMerge> list() const;

   private:
    std::vector<Entry> entries_;
    std::uint64_t mask_;
  };

  bool can_split_before_space_mark(const std::vector<BpeMerge>& merges) const;
  void encode_part(std::string_view part, std::vector<BpeSymbol>& symbols) const;
  std::vector<BpeSymbol> first_symbols(std::string_view part) const;
  void add_unknown(std::string_view character, std::uint32_t size, std::optional<BpeSymbol>& unknown,
                   std::vector<BpeSymbol>& symbols) const;
  void merge_short(std::vector<BpeSymbol>& symbols) const;
  void merge_long(std::vector<BpeSymbol>& symbols) const;

  Vocabulary vocabulary_;
  BpeOptions options_;
  PairTable pairs_;
  Vocabulary words_;                // byte_level with ignore_merges: raw bytes of every token
  std::int32_t byte_ids_[256];      // byte_level: the token of each byte, or -1
  std::int32_t fallback_ids_[256];  // byte_fallback: the token <0xXX>, or -1
  bool split_before_mark_ = false;
};

}  // namespace striate
