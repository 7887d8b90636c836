// Reading and checking a sentencepiece tokenizer.model before the sentencepiece library sees it.
//
// The library trusts its input more than Striate does (and writes to stderr when it does not like it), so the file is
// parsed here first: format at github.com/google/sentencepiece, src/sentencepiece_model.proto.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "striate/text/vocabulary.h"

namespace striate {

struct SentencePieceEntry {
  std::string text;
  PieceKind kind = PieceKind::kNormal;
  float score = 0.0F;
};

struct SentencePieceModel {
  std::vector<SentencePieceEntry> pieces;  // by id
  bool byte_fallback = false;
  bool add_dummy_prefix = true;
  // The model in serialized form, with what encoding does not need (self tests, denormalizer) left out.
  std::string serialized;
};

// Throws CorruptData when the bytes are not such a model, Unsupported for a model of another kind than Llama's BPE
// without character maps.
SentencePieceModel parse_sentencepiece_model(std::string_view bytes, const std::string& where);

// The field that, appended to a serialized model, sets add_dummy_prefix.
std::string dummy_prefix_field(bool add);

}  // namespace striate
