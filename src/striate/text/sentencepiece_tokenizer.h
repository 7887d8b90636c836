// Llama's sentencepiece tokenizer as Hugging Face's (slow) LlamaTokenizer runs it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "striate/text/tokenizer.h"
#include "striate/text/tokenizer_files.h"

namespace striate {

// `legacy` is LlamaTokenizer's flag of that name: with it every stretch of text between special tokens gets
// sentencepiece's dummy prefix, where the model has one; without it only the first gets a space, whatever the model
// says, unless tokenizer_config.json has "add_prefix_space": false. Throws CorruptData or Unsupported with `where` in
// front.
std::shared_ptr<const Tokenizer> parse_sentencepiece(std::string_view bytes, const TokenizerSettings& settings,
                                                     bool legacy, const std::string& where);

}  // namespace striate
