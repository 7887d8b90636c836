// Tokenizers of a handful of tokens, for tests that need no reference data.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace striate::test {

// A byte-level BPE: bytes' own characters, "ab", "abc", "Ġa"; special tokens <s>, <e>. BOS by template.
nlohmann::json tiny_tokenizer_json();

// A sentencepiece BPE model of the letters, the space mark and a few merges; no byte fallback.
std::string tiny_sentencepiece();

// One piece of a sentencepiece model, serialized; kinds as in sentencepiece_model.proto.
std::string sentencepiece_piece(const std::string& text, int kind);

}  // namespace striate::test
