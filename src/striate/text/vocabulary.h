// A tokenizer's vocabulary as other programs' files list it (GGUF).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace striate {

// What a token is, numbered as sentencepiece's model files and GGUF's `tokenizer.ggml.token_type` do.
enum class PieceKind { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct ListedToken {
  std::string text;  // as the vocabulary writes it; empty where no token has this id
  PieceKind kind = PieceKind::kUnused;
  // sentencepiece's: of two neighbours that make a token, those whose token scores highest merge first. Where a
  // tokenizer.json has no scores, minus the rank of its first merge, which gives the same order.
  float score = 0.0F;
};

struct VocabularyListing {
  bool byte_level = false;          // GPT-2's printable alphabet and merges; else sentencepiece's pieces and scores
  std::vector<ListedToken> tokens;  // by id
  std::vector<std::string> merges;  // byte_level: "left right", best first
  std::optional<std::int64_t> unk_id;
  // byte_level: the expressions that cut a text into words before the model sees it, in order.
  std::vector<std::string> split_patterns;
};

}  // namespace striate
