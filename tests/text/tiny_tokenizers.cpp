#include "tests/text/tiny_tokenizers.h"

#include <cstring>

#include "striate/text/bpe.h"

namespace striate::test {

nlohmann::json tiny_tokenizer_json() {
  nlohmann::json document = nlohmann::json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
    "added_tokens": [
      {"id": 259, "content": "<s>", "normalized": false, "special": true},
      {"id": 260, "content": "<e>", "normalized": false, "special": true}
    ],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [259], "tokens": ["<s>"]}}},
    "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false, "byte_fallback": false,
      "vocab": {"ab": 256, "abc": 257, "\u0120a": 258}, "merges": ["a b", "ab c", ["\u0120", "a"]]}
  })");
  for (int byte = 0; byte < 256; ++byte) {
    document["model"]["vocab"][byte_level_character(static_cast<unsigned char>(byte))] = byte;
  }
  return document;
}

std::string sentencepiece_piece(const std::string& text, int kind) {
  static int rank = 0;
  const float score = kind == 1 ? -static_cast<float>(++rank) : 0.0F;
  std::string piece{'\x0A', static_cast<char>(text.size())};
  piece += text;
  piece += '\x15';
  piece.append(reinterpret_cast<const char*>(&score), sizeof score);
  piece += '\x18';
  piece += static_cast<char>(kind);
  std::string field{'\x0A', static_cast<char>(piece.size())};
  return field += piece;
}

std::string tiny_sentencepiece() {
  std::string model = sentencepiece_piece("<unk>", 2) + sentencepiece_piece("<s>", 3) + sentencepiece_piece("</s>", 3);
  for (const char* piece : {"\u2581a", "ab", "\u2581ab", "\u2581", "a", "b", "c"})
    model += sentencepiece_piece(piece, 1);
  model += std::string("\x12\x02\x18\x02", 4);  // trainer_spec { model_type: BPE }
  model +=
      std::string("\x1A\x06\x18\x01\x20\x00\x28\x01", 8);  // normalizer_spec { add_dummy_prefix, keep spaces, escape }
  return model;
}

}  // namespace striate::test
