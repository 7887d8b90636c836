// A tokenizer's files, copied into a new checkpoint and fitted to it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace striate {

// The ids of the tokenizer that a model needs.
struct TokenizerFit {
  std::string description;
  std::int64_t used_ids = 0;  // the largest id + 1, added tokens included
  std::optional<std::int64_t> bos_id;
  std::vector<std::int64_t> eos_ids;  // the tokenizer's own first, then the end of a turn
  std::optional<std::int64_t> pad_id;
  std::optional<std::int64_t> image_id;  // only where image tokens were asked for
};

// Copies what makes up the tokenizer at `source` (a folder, or one file; .gz is unpacked) into `folder`. A single file
// gets the tokenizer_config.json it needs. With `image_tokens`, "<image>" and "<pad>" are added where they are missing,
// as llava-hf did for LLaVA-1.5: ids after the last, special, in tokenizer.json, tokenizer_config.json and
// added_tokens.json.
// Throws InvalidInput (no tokenizer there), CorruptData, Unsupported (image tokens in a tiktoken rank file).
TokenizerFit copy_tokenizer(const std::filesystem::path& source, const std::filesystem::path& folder,
                            bool image_tokens);

// The same for the bytes of a sentencepiece tokenizer.model.
TokenizerFit write_tokenizer(std::string_view model, const std::filesystem::path& folder, bool image_tokens);

}  // namespace striate
