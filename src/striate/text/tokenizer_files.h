// The files around a tokenizer: finding them in a folder, unpacking .gz, and the settings Hugging Face keeps beside
// the vocabulary.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/text/added_tokens.h"

namespace striate {

// What tokenizer_config.json, special_tokens_map.json, added_tokens.json and generation_config.json say.
struct TokenizerSettings {
  std::string tokenizer_class;  // "LlamaTokenizer", "PreTrainedTokenizerFast", ...; "" where unsaid
  std::optional<bool> legacy;
  std::optional<bool> add_bos_token;
  std::optional<bool> add_prefix_space;
  std::optional<std::string> bos, eos, unk, pad;  // the tokens as written
  std::vector<std::string> additional_special;
  std::vector<AddedToken> added;  // by id
  std::optional<std::int64_t> generation_eos;
};

// Reads whichever of the four files the folder has. Throws CorruptData for one that is damaged.
TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder);

// No vocabulary file is larger, unpacked.
inline constexpr std::uint64_t kLargestTokenizerFile = std::uint64_t{256} << 20;

// The file's bytes, unpacked where they are gzip. Throws InvalidInput when it is absent, CorruptData when it is cut
// short, damaged, or unpacks to more than kLargestTokenizerFile.
std::string read_tokenizer_file(const std::filesystem::path& path);

}  // namespace striate
