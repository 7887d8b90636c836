// The stage of a tokenizer.json after its model: the decoder, which follows the component of the same name in Hugging
// Face's `tokenizers`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "striate/text/json_fields.h"

namespace striate {

// ByteLevel, Metaspace, sequences of Replace, ByteFallback, Fuse and Strip (from the left), or none (tokens joined by
// spaces).
class TokenDecoder {
 public:
  TokenDecoder() = default;
  static TokenDecoder from_json(const Json& component, const std::string& where);
  static TokenDecoder byte_level();

  // The bytes of a token, at any position.
  std::string bytes(std::string_view token, bool first) const;
  // How many leading `strip_content` bytes of the whole text go.
  std::size_t strip_count() const { return strip_count_; }
  char strip_content() const { return strip_content_; }

 private:
  enum class Kind { kJoin, kByteLevel, kMetaspace, kChain };
  void add(const Json& component, const std::string& where);

  Kind kind_ = Kind::kJoin;
  std::vector<std::pair<std::string, std::string>> replacements_;
  std::string mark_;  // Metaspace
  bool drop_first_marks_ = false;
  bool byte_fallback_ = false;
  bool fused_ = false;
  std::size_t strip_count_ = 0;
  char strip_content_ = ' ';
};

}  // namespace striate
